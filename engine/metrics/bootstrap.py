"""Percentile bootstrap intervals of a mean or of a ratio of sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
RESAMPLES = 2000
SEED = 0
TOGETHER = 1 << 22
"""The number of draws at a time, which bounds the memory."""


@dataclass(frozen=True)
class Interval:
    """A figure and the percentiles of its resamples, which are None for a single sample."""

    value: float
    low: float | None
    high: float | None
    level: float = LEVEL

    def map(self, f: Callable[[float], float]) -> Interval:
        """Return the interval of an increasing function of the figure."""
        low, high = (None if x is None else f(x) for x in (self.low, self.high))
        return Interval(f(self.value), low, high, self.level)


def resamples(count: int, times: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of `times` resamples of `count` samples, int64 [n, count] at a time."""
    numbers = np.random.default_rng(seed)
    together = max(1, TOGETHER // count)
    for first in range(0, times, together):
        yield numbers.integers(0, count, (min(together, times - first), count))


def interval(
    sums: Sequence[float] | NDArray[np.floating],
    weights: ArrayLike | None = None,
    *,
    level: float = LEVEL,
    times: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Return sum(sums) / sum(weights) over N samples, [N] each, with its interval; without weights the mean.

    Samples of no weight are allowed, as long as not all are.  Equal seeds and N take the same resamples, so that
    intervals of two figures of the same samples can be compared.  Raises ValueError for no samples or no weight.
    """
    a = np.asarray(sums, np.float64)
    b = np.ones(a.shape) if weights is None else np.asarray(weights, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"sums and weights must be one number for each sample, got {a.shape} and {b.shape}")
    if len(a) == 0 or b.sum() <= 0:
        raise ValueError("there is nothing to average: it takes at least one sample with something in it")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    value = float(a.sum() / b.sum())
    if len(a) == 1:
        return Interval(value, None, None, level)
    drawn = np.concatenate([np.stack((a[i].sum(-1), b[i].sum(-1))) for i in resamples(len(a), times, seed)], axis=-1)
    total, weight = drawn[:, drawn[1] > 0]
    low, high = np.quantile(total / weight, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)


def deviation(values: Sequence[float] | NDArray[np.floating]) -> float | None:
    """Return the standard deviation with n - 1; None for fewer than two values."""
    return float(np.std(np.asarray(values, np.float64), ddof=1)) if len(values) > 1 else None
