"""What a training step calls: a network with its objective, its blocks compiled or recomputed where asked."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.models.kinds import Network
from engine.training.objectives import Objective


class TrainingTask(nn.Module):
    """One call for all that a network is asked in training, so that gradients can be gathered around it."""

    def __init__(self, model: Network, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, tokens: Tensor, t: Tensor, chance: Tensor, bound: bool = False) -> Tensor:
        """tokens long [B, L], t [B], chance [B, L] uniform, on one device -> the objective's loss, or its bound, [B].

        On the CPU they make that decide what is asked of a GPU, which is not waited for; DDP and FSDP move them first.
        """
        asked = self.objective.bound if bound else self.objective.loss
        return asked(self.model, tokens, t, chance)


def recompute(model: Network) -> None:
    """Keep of every block what went in, and compute it again for the gradients: less memory, a third more work."""
    for block in model.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def compiled(task: TrainingTask, rows: int, precision: torch.autocast) -> str | None:
    """Compile the network but for its embedding and what is computed of logits, and try it on a step's rows.

    Why they stay as they were is returned, None where they are compiled.

    The compiler fails in many ways, of which none is a reason not to train.
    """
    parts = [*task.model.blocks, task.model.output_layer, task.objective.by_row]
    length = task.model.config.length
    for part in parts[:-1]:
        part.compile()
    task.objective.by_row.compile(dynamic=True)  # masks are never as many twice
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
