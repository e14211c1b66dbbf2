"""A network with its objective, as a training step calls them, with compiled or recomputed blocks."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.models.kinds import TrainableNetwork
from engine.training.objectives import Objective


class TrainingTask(nn.Module):
    """A network and its objective as one module, so that DDP and FSDP can gather its gradients."""

    def __init__(self, model: TrainableNetwork, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, tokens: Tensor, t: Tensor, chance: Tensor, bound: bool = False) -> Tensor:
        """Return the objective's loss or its bound, [B], of tokens, long [B, L], t [B] and uniform chance [B, L].

        The three are on one device.  On the CPU they are sent to a GPU without waiting for it; DDP and FSDP move them
        first.
        """
        compute = self.objective.bound if bound else self.objective.loss
        return compute(self.model, tokens, t, chance)


def recompute(model: TrainableNetwork) -> None:
    """Keep only every block's inputs and recompute it for the gradients: less memory, a third more work."""
    for block in model.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def compiled(task: TrainingTask, rows: int, precision: torch.autocast) -> str | None:
    """Compile the blocks, the output layer and the row loss, and try them on a step's rows.

    Return None if they are compiled, else why not: no failure of the compiler is a reason not to train.
    """
    parts = [*task.model.blocks, task.model.output_layer, task.objective.by_row]
    length = task.model.config.length
    for part in parts[:-1]:
        part.compile()
    task.objective.by_row.compile(dynamic=True)  # the number of masks varies from step to step
    try:
        task.train()
        tokens = torch.zeros(rows, length, dtype=torch.long)
        with precision:
            loss = task(tokens, torch.full((rows,), 0.5), torch.zeros(rows, length)).sum()
        torch.autograd.backward(loss)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001
        for part in parts:
            part._compiled_call_impl = None
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        task.zero_grad(set_to_none=True)
    return None
