"""Entropy of each sequence's own token frequencies, which falls when samples repeat themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.metrics.bootstrap import Interval, deviation, interval
from engine.sampling.figures import unigram_entropy


@dataclass(frozen=True)
class Entropy:
    """The mean entropy in nats, between 0 and the logarithm of the length, and its spread."""

    mean: Interval
    deviation: float | None
    """over sequences; None for one"""
    sequences: int


def entropies(sequences: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Return the entropy of each sequence of token ids, nats, float64 [N]."""
    return np.array([unigram_entropy(np.asarray(ids, np.int64)) for ids in sequences], np.float64)


def entropy(sequences: Sequence[ArrayLike]) -> Entropy:
    """Return the entropy of sequences of token ids.  Raises ValueError without any."""
    return entropy_summary(entropies(sequences))


def entropy_summary(values: NDArray[np.float64]) -> Entropy:
    """Return the summary of entropies, [N]."""
    return Entropy(interval(values), deviation(values), len(values))
