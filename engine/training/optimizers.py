"""The optimizers of a training run, and how their learning rate changes."""

from __future__ import annotations

import torch
from torch import nn

from engine.models.kinds import TrainableNetwork
from engine.training.sections import OptimSection


def lr_factor(step: int, steps: int, optim: OptimSection) -> float:
    """Return the factor of the learning rate: linear warm-up to 1, constant, linear cool-down to 0 at `steps`."""
    warm = min(1.0, (step + 1) / max(optim.warmup, 1))
    cool = min(1.0, (steps - step) / max(optim.cooldown, 1))
    return min(warm, cool)


def optimizers(
    model: TrainableNetwork, optim: OptimSection, precision: str = "bfloat16"
) -> list[torch.optim.Optimizer]:
    """Return AdamW for all parameters, or Muon for the blocks' weight matrices and AdamW for the rest.

    precision: of the run, in which Muon orthogonalises.  Raises ValueError if torch has no Muon.
    """
    matrices: list[nn.Parameter] = []
    if optim.name == "muon":
        if not hasattr(torch.optim, "Muon"):
            raise ValueError(f"optim.name = 'muon' takes torch 2.9 or later, not {torch.__version__}: use adamw")
        matrices = [p for n, p in model.blocks.named_parameters() if p.ndim == 2 and "adaLN" not in n]
    by_muon = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in by_muon]
    made: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=optim.lr, betas=optim.betas, weight_decay=optim.weight_decay, fused=True)
    ]
    if matrices:
        from engine.training.muon import GroupedMuon

        dtype = None if precision == "float32" else torch.bfloat16
        made.append(
            GroupedMuon(
                matrices, dtype, lr=optim.matrix_lr, weight_decay=optim.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
        )
    return made
