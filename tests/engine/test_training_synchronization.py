"""A step asks nothing of a GPU that it would be waited for.

The meta device stands for one: it takes all that is asked of it and has no values that could be counted or read.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.models.dit import DITConfig
from engine.models.kinds import KINDS
from engine.training.config import TrainConfig
from engine.training.losses import antithetic_times
from engine.training.objectives import OBJECTIVES, make_objective
from engine.training.task import TrainingTask

CONFIG = DITConfig(
    vocab_size=50, hidden_size=64, n_blocks=2, n_heads=2, cond_dim=16, length=32, mask_id=49, dropout=0.1
)
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class Apart(TorchDispatchMode):
    """Fails where an operation takes tensors of two devices and is no copy; `copied` counts those."""

    copied = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        tensors = [x for x in tree_leaves((args, kwargs, made)) if isinstance(x, Tensor) and x.ndim]
        if len({x.device for x in tensors}) > 1:
            assert func in COPIES, f"{func} takes tensors of two devices"
            self.copied += 1
        return made


def task(name: str) -> TrainingTask:
    objective = make_objective(TrainConfig(objective=name), 0)
    return TrainingTask(KINDS[objective.kind].network(CONFIG), objective).to("meta").train()


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.Generator().manual_seed(0)
    return torch.randint(49, (4, 32), generator=noise), antithetic_times(4, noise), torch.rand(4, 32, generator=noise)


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_chance_decides_is_sent_to_the_network_and_nothing_comes_back(name: str, bound: bool) -> None:
    made = task(name)
    with Apart() as mode:
        loss = made(*inputs(), bound=bound)
        torch.autograd.backward(loss.sum())
    assert (loss.device.type, loss.shape) == ("meta", (4,))
    assert {p.grad is None for p in made.model.blocks.parameters()} == {False}
    assert mode.copied >= 1


@pytest.mark.parametrize("name", ["mdlm", "sedd", "d3pm"])
def test_counted_on_the_device_itself_it_would_be_waited_for(name: str) -> None:
    with pytest.raises(NotImplementedError, match="nonzero"):
        task(name)(*(x.to("meta") for x in inputs()))
