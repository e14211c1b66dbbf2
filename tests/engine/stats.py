"""The statistics of the tests: chi-square of one sample against a law and of two samples, and the z-score."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

ENOUGH = 1e-3
"""A true hypothesis falls below this once in a thousand; the seeds are fixed, so it does so always or never."""
FAR_OFF = 1e-6
"""A negative control must fall below this."""
FEWEST = 12
"""Outcomes expected more rarely than this are counted together."""
BINS = 24


def same_distribution(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Return the p-value of a two-sample chi-square on outcome numbers; rare outcomes share a few bins."""
    outcomes, where = np.unique(np.concatenate((a, b)), return_inverse=True)
    total = np.bincount(where)
    rare = total < 2 * FEWEST
    label = np.where(rare, np.arange(len(outcomes)) % BINS, BINS + np.arange(len(outcomes)))
    table = np.stack([np.bincount(label[part], minlength=label.max() + 1) for part in np.split(where, [len(a)])])
    table = table[:, table.sum(0) >= 2 * FEWEST]
    return float(stats.chi2_contingency(table).pvalue)


def follows(counts: NDArray[np.int64], p: NDArray[np.float64]) -> float:
    """Return the p-value of a chi-square of counts against probabilities; what has probability 0 must not occur."""
    assert not counts[p == 0].any()
    expected = p * counts.sum()
    rare = expected < FEWEST
    observed = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    kept = wanted > 0
    if kept.sum() == 1:
        return 1.0
    return float(stats.chisquare(observed[kept], wanted[kept] * observed.sum() / wanted.sum()).pvalue)


def z_score(fraction: float, expected: float, count: int) -> float:
    """Return the deviation of a fraction of `count` independent trials in standard deviations."""
    spread = math.sqrt(expected * (1 - expected) / count)
    gap = abs(fraction - expected)
    return gap / spread if spread else (0.0 if gap < 1e-12 else math.inf)


def outcome(*states: NDArray[np.int64], base: int) -> NDArray[np.int64]:
    """Return one number for each trajectory: states [N, L] of digits below `base`, read one after the other."""
    number = np.zeros(len(states[0]), dtype=np.uint64)
    for state in states:
        for column in state.T:
            number = number * np.uint64(base) + column.astype(np.uint64)
    return number.astype(np.int64)
