"""Losses that end a run: those that are not finite, and spikes over their moving average.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""The decay of the average loss that a spike is compared with."""
SETTLED = 100
"""The number of steps before spikes are checked."""
NAMED = 16
"""The number of offsets of a bad batch that a message names; seed and step decide all of them."""


def next_level(level: float | None, loss: float) -> float:
    """Return the moving average of the loss after one more step."""
    return loss if level is None else LEVEL * level + (1 - LEVEL) * loss


def check_loss(
    loss: float,
    norm: float,
    starts: Sequence[int] | NDArray[np.integer],
    *,
    step: int,
    limit: float,
    level: float | None,
) -> None:
    """Raise FloatingPointError for a loss or gradient that is not finite or a spike, naming the batch's offsets.

    norm: of the gradient.  limit: how many times its average `level` the loss may be; 0: any.
    """
    if math.isfinite(loss) and math.isfinite(norm):
        if not limit or level is None or step < SETTLED or loss <= limit * level:
            return
        what = f"the loss jumped to {loss:.4g}, {loss / level:.1f} times its average,"
    else:
        what = f"the loss became {loss} and its gradient {norm}"
    more = f" and {len(starts) - NAMED} more" if len(starts) > NAMED else ""
    where = ", ".join(map(str, starts[:NAMED])) + more
    raise FloatingPointError(f"{what} at step {step}, whose batch begins at the training tokens {where}")
