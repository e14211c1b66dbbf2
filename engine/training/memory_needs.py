"""Check that a run fits into memory before it allocates any."""

from __future__ import annotations

import torch

from engine.models.memory_check import GIB, free_bytes
from engine.training.config import TrainConfig

COPIES = 5
"""float32 numbers for each parameter: itself, its gradient, AdamW's two, its average."""
DRAWN = 4
"""The least bytes for a token of a batch where it is drawn; every process draws the whole batch."""
ROW = 8
"""Bytes for a token of a process's rows of a batch or of the validation."""


def check_needs(config: TrainConfig, mask_id: int, device: torch.device, world: int = 1) -> None:
    """Raise ValueError that names a setting which needs more memory than is free.

    The needs are lower bounds: a run that passes may still not fit.
    """
    shape, run = config.network(mask_id), config.run
    here = torch.device("cpu")
    share = max(1, run.batch // world)
    together = min(run.rows_together or share, share)
    shares = world if run.strategy == "fsdp" else 1
    numbers = 12 * shape.n_blocks * shape.hidden_size**2 + 2 * shape.vocab_size * shape.hidden_size
    needs = (
        ("run.batch", run.batch, run.batch * shape.length * DRAWN + share * shape.length * ROW, here),
        ("run.validation_windows", run.validation_windows, run.validation_windows * shape.length * ROW, here),
        ("model.hidden_size", shape.hidden_size, numbers * COPIES * 4 // shares, device),
        ("run.rows_together", together, together * shape.length * shape.hidden_size * shape.depth * 2, device),
    )
    for name, value, needed, where in needs:
        free = free_bytes(where)
        if free is not None and needed > free:
            raise ValueError(
                f"{name} = {value} takes at least {needed / GIB:,.1f} GiB on {where}, where {free / GIB:,.1f} GiB are "
                "free: choose a smaller one"
            )
