"""Noise schedules and time grids: how much is still unmasked at time t, and which times are visited.

Time runs from t = 1 (all masked) to t = 0 (clean).  A clock maps time to alpha, the expected
unmasked fraction; the samplers use the linear alpha_t = 1 - t, or ReMDM's loop clock.  Tensors are used by
their methods alone: whoever only lists strategies need not wait for torch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def linear_alpha(t: Tensor) -> Tensor:
    """Return alpha_t = 1 - t."""
    return 1 - t


def cosine(t: Tensor) -> Tensor:
    """Return alpha_t = 1 - cos(pi (1 - t) / 2)."""
    return 1 - ((1 - t) * (math.pi / 2)).cos()


def simplex(t: Tensor) -> Tensor:
    """Return SSD-LM's abar_t = f(t) / f(0), f(t) = cos^2(pi (t + s) / (2 (1 + s))), s = 1e-4 (arXiv 2210.17432)."""
    s = 1e-4
    return (((t + s) / (1 + s) * (math.pi / 2)).cos() / math.cos(s / (1 + s) * (math.pi / 2))) ** 2


def loop(t: Tensor, t_on: float, t_off: float, alpha_on: float) -> Tensor:
    """Return ReMDM-loop's alpha (arXiv 2503.00307): mdlm to alpha_on at t_on, constant until t_off, mdlm to 1."""
    before = (1 - t) * (alpha_on / (1 - t_on))
    after = 1 - t * ((1 - alpha_on) / t_off)  # falls below alpha_on exactly where t > t_off
    return before.where(t > t_on, after.clamp(min=alpha_on))


def uniform_grid(steps: int) -> NDArray[np.float64]:
    """Return steps + 1 times from 1 to 0."""
    return np.arange(steps, -1, -1, dtype=np.float64) / steps


def dfm_grid(steps: int) -> NDArray[np.float64]:
    """Return the adaptive times of the discrete-flow-matching corrector (Gat et al., arXiv 2407.15595).

    dt = min(1 / steps, 1 / (a / t + b / (1 - t))): small enough that neither probability exceeds 1.
    As in ReMDM's implementation the walk ends at the first t below 1 / steps, after 133, 259, 514, 1025,
    2048 and 4096 steps for steps = 128 ... 4096; what is masked then becomes the argmax.
    """
    times = [1.0]
    while times[-1] >= 1 / steps:
        t = times[-1]
        a = 10 * t**0.25 * (1 - t) ** 0.25 + 1
        rate = a / t + ((a - 1) / (1 - t) if t < 1 else 0.0)
        times.append(t - min(1 / steps, 1 / rate))
    return np.array(times)


def dfm_rates(t: Tensor) -> tuple[Tensor, Tensor]:
    """Return (a, b): the corrector's rates of revealing and of remasking at time t."""
    a = 10 * t.clamp(0, 1) ** 0.25 * (1 - t).clamp(0, 1) ** 0.25 + 1
    return a, a - 1


def next_time(grid: NDArray[np.float64], now: float) -> float | None:
    """Return the largest time of a descending grid below `now`; None where the walk has ended."""
    below = grid[grid < now]
    return float(below[0]) if len(below) else None
