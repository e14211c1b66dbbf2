"""What steps and edits did: frames, and the branches they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.records.settings import Settings


class Change(IntEnum):
    """The effect of one step on one position."""

    MASKED = 0
    """was masked and still is"""
    HELD = 1
    """was revealed and still is"""
    REVEALED = 2
    """was masked, now holds a token"""
    REMASKED = 3
    """held a token, is masked again"""
    LOCKED = 4
    """is in the prompt or was locked by hand: no sampler touches it"""
    EDITED = 5
    """held a token, now holds another that the strategy put in its place"""


PUT = (Change.REVEALED, Change.EDITED)
"""The changes after which a position holds a token that it did not hold before."""


UNCHANGED = np.array([Change.MASKED, Change.HELD, Change.HELD, Change.MASKED, Change.LOCKED, Change.HELD], np.uint8)
"""The `Change` at a position that a step leaves alone, by the change there in the step before."""


UNKNOWN_DRAW = "unknown"
"""The draw of an imported trace: no flip of ours decided it, and its plans are what happened."""


@dataclass(frozen=True)
class Edit:
    """A change of the canvas by hand between two steps; in the record it is a frame of its own."""

    kind: Literal["mask", "force", "lock", "unlock", "prompt"]
    """mask again, put a token, keep from the sampler, give back to it, or begin with another prompt"""
    sample: int | None = None
    """row of the batch; None: all"""
    position: int = 0
    tokens: tuple[int, ...] = ()
    """the token to put, or the prompt's tokens; else empty"""
    held: float = 1.0
    """the probability that a token put counts as having had when it was revealed"""


@dataclass(frozen=True)
class Branch:
    """A course of a run: its first `at` frames are its parent's; the run's first has no parent."""

    id: int
    parent: int | None = None
    at: int = 0


@dataclass(frozen=True, eq=False)
class Frame:
    """One step of B trajectories of L tokens, from t down to s.

    Arrays are [B, L] and read-only.  `held` is the probability each token had when it was revealed
    (after the nucleus, renormalised; 1 for the prompt; nan where masked).  `unmask` and `remask` are
    the plan's probabilities after clamping to [0, 1], whatever the position's state; the one that
    applied is `unmask` where a position was masked before the step and `remask` where it was revealed.
    """

    index: int
    """number of the step, from 0"""
    t: float
    s: float
    alpha_t: float
    alpha_s: float
    tokens: NDArray[np.int32]
    """after the step"""
    change: NDArray[np.uint8]
    held: NDArray[np.float32]
    unmask: NDArray[np.float32]
    remask: NDArray[np.float32]
    network_calls: int
    """sequences put through the network since step 0, summed over the batch"""
    settings: Settings
    excess: float = 0.0
    """how far the plan left [0, 1] before it was clamped; 0 for a valid plan"""
    final: bool = False
    """the clean-up after a block's last step, in which every mask left in it becomes the argmax"""
    block: int = 0
    """number of the block that the step worked in, from 0; t, s and both alphas are its own"""
    edit: Edit | None = None
    """what a person did, where the frame is that and no step of the sampler; then s is t"""
    edit_plan: NDArray[np.float32] | None = None
    """the plan's probability of an edit, like `remask`; None where the strategy edits nothing"""

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Return [B, L]: the masked positions after the step."""
        return (self.change == Change.MASKED) | (self.change == Change.REMASKED)

    def count(self, change: Change, sample: int | None = None) -> int:
        """Return how many positions underwent `change`, in one sample or in all."""
        rows = self.change if sample is None else self.change[sample]
        return int(np.count_nonzero(rows == change))
