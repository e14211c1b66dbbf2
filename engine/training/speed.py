"""The speed limit of training: the operations of a token, and the device's operations a second."""

from __future__ import annotations

from collections.abc import Callable

import torch

from engine.models.kinds import KINDS
from engine.training.config import TrainConfig
from engine.training.objectives import OBJECTIVES

SIZES = {"cuda": 8192, "mps": 2048, "cpu": 512}
"""Rows and columns of the matrices that a device is measured by: enough to fill it."""
SECONDS = 0.3


def flops_per_token(config: TrainConfig, mask_id: int) -> float:
    """Return the floating point operations of matrices and attention for one token, forward and backward.

    Six for every weight, twelve for every pair of positions and channel; backward counts twice.  Diffusion
    projects masked positions alone, half of them on average, and SSD-LM a block; what is recomputed does not count.
    """
    shape, causal = config.network(mask_id), KINDS[config.kind].causal
    seen, projected = OBJECTIVES[config.objective].shares(config)
    blocks = 12 * shape.hidden_size**2 * shape.depth * seen
    pairs = shape.length * shape.hidden_size * shape.depth * (0.5 if causal else seen**2)
    head = shape.hidden_size * shape.vocab_size * projected
    return 6 * (blocks + head) + 12 * pairs


def matmul_peak(device: torch.device, precision: str, clock: Callable[[], float], seconds: float = SECONDS) -> float:
    """Measure the floating point operations a second of the device in products of large square matrices."""
    size = SIZES.get(device.type, 512)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    # random numbers, as devices that lower their clock by the power they draw are faster on equal ones
    a, b = (torch.randn((size, size), dtype=dtype, device=device) for _ in range(2))
    best, until = 0.0, clock() + seconds
    torch.mm(a, b)
    while True:
        _wait(device)
        began = clock()
        for _ in range(4):
            torch.mm(a, b)
        _wait(device)
        now = clock()
        best = max(best, 8 * size**3 / (now - began))
        if now >= until:
            return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
