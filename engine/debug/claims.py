"""What strategies claim of a run, which the laws hold them to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.strategies import Strategy, reads_of
from engine.strategies.base import SLACK

RemaskLimit = Callable[[float, float, int], int | None]
"""From (t, s, revealed tokens of a sequence) to how many of these the step masks again at most; None: any number."""


@dataclass(frozen=True)
class Claims:
    """The properties that a strategy claims."""

    preserves_marginal: bool
    reads: frozenset[str]
    leaves_range: str = ""
    """the formula by which the last step's plan leaves [0, 1]; empty: it does not"""
    quota: str = ""
    """name in MASKS_LEFT of the quota that every step keeps; empty: none"""
    most_remasks: RemaskLimit | None = None


def claims_of(strategy: Strategy) -> Claims:
    """Return what a strategy claims with the knobs as they are."""
    return Claims(
        strategy.preserves_marginal, reads_of(strategy), strategy.leaves_range, strategy.keeps_quota(),
        strategy.most_remasks,
    )  # fmt: skip


class StepCounts(NamedTuple):
    """What the masks left by a quota follow from; counts are long [B], of the positions of the block."""

    positions: NDArray[np.int64]
    masked: NDArray[np.int64]
    """before the step"""
    t: float
    s: float
    alpha_s: float


class MasksLeft(NamedTuple):
    """A quota as the law checks it."""

    most: Callable[[StepCounts], NDArray[np.int64]]
    """how many masks there are to be, long [B]"""
    exact: bool
    """whether this number of the masks before the step stays; else it is the most after the step"""
    formula: str


def _equal_shares(step: StepCounts) -> NDArray[np.int64]:
    return step.masked - np.ceil(step.masked * (1 - step.s / step.t) - SLACK).astype(np.int64)


def _dream_shares(step: StepCounts) -> NDArray[np.int64]:
    share = np.float32(1) - np.float32(step.s) / np.float32(step.t)
    return step.masked - (step.masked.astype(np.float32) * share).astype(np.int64)


def _clock(step: StepCounts) -> NDArray[np.int64]:
    return (step.positions.astype(np.float32) * np.float32(1 - step.alpha_s)).astype(np.int64)


MASKS_LEFT: dict[str, MasksLeft] = {
    "llada": MasksLeft(_equal_shares, True, "revealed = ceil(masked (1 - s / t)) in every sequence"),
    "dream": MasksLeft(_dream_shares, True, "revealed = floor(masked (1 - s / t)) in every sequence"),
    "clock": MasksLeft(_clock, False, "masked <= floor(n (1 - alpha_s)) in every sequence"),
}
"""The quotas of `engine.strategies.words.QUOTAS`."""
