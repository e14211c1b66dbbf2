"""Diversity of samples: distinct n-grams over all of them, repeated n-grams within each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LONGEST = 4


@dataclass(frozen=True)
class Diversity:
    """Figures by n, from 1 to LONGEST; None where no sequence has n tokens."""

    distinct: dict[int, float | None]
    """different n-grams over n-grams, all sequences together (Li et al. 2016, arXiv 1510.03055); falls with N"""
    repetition: dict[int, float | None]
    """1 - different n-grams over n-grams within a sequence, averaged (seq-rep-n of arXiv 1908.04319)"""


def diversity(sequences: Sequence[ArrayLike]) -> Diversity:
    """Return the diversity of sequences of token ids.  Raises ValueError without any."""
    if not len(sequences):
        raise ValueError("there are no sequences to compare")
    distinct: dict[int, float | None] = {}
    repetition: dict[int, float | None] = {}
    for n in range(1, LONGEST + 1):
        grams, rows = _grams(sequences, n)
        distinct[n] = len(np.unique(grams)) / len(grams) if len(grams) else None
        within = _repeated(grams, rows)
        repetition[n] = float(within.mean()) if len(within) else None
    return Diversity(distinct, repetition)


def repetition(sequence: ArrayLike, n: int = LONGEST) -> float:
    """Return 1 - different n-grams over n-grams of one sequence; 0 for one of fewer than n tokens."""
    within = _repeated(*_grams([sequence], n))
    return float(within[0]) if len(within) else 0.0


def _grams(sequences: Sequence[ArrayLike], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a number for each n-gram, equal for equal ones, and the index of its sequence: int64 [G] both."""
    rows = [np.asarray(ids, np.int64) for ids in sequences]
    lengths = np.array([len(row) for row in rows])
    tokens = np.unique(np.concatenate(rows), return_inverse=True)[1].astype(np.int64)
    where = np.repeat(np.arange(len(rows)), lengths)
    # how many tokens of its sequence follow
    left = np.concatenate([np.arange(length)[::-1] for length in lengths])
    grams, kinds = tokens.copy(), int(tokens.max(initial=0)) + 1
    for more in range(1, n):
        # numbers of pairs are made dense again, so that no product overflows
        grams = np.unique(grams[: len(tokens) - more] * kinds + tokens[more:], return_inverse=True)[1].astype(np.int64)
    whole = left[: len(grams)] >= n - 1
    return grams[whole], where[: len(grams)][whole]


def _repeated(grams: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 1 - different n-grams over n-grams for each sequence that has any, float64."""
    if not len(grams):
        return np.zeros(0)
    pairs = np.unique(np.stack((rows, grams)), axis=1)[0]
    total, different = np.bincount(rows), np.bincount(pairs, minlength=rows.max() + 1)
    return 1 - different[total > 0] / total[total > 0]
