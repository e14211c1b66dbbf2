"""What the map's colour stands for: one entry of `MODES` for each mode.  Pure numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from remdm_tui.render.palette import HEAT_LEVELS
from remdm_tui.render.plate import CERTAIN, Bytes, Columns, State

UNREAD, MASKED, LEVEL = 0, 1, 2
"""Codes of a mode with a scale: `LEVEL` and the `HEAT_LEVELS - 1` codes above it are the levels."""
LOST = LEVEL + HEAT_LEVELS
"""The code of a position that was just remasked, where the mode shows that."""


CONFIDENCE_CODES = np.array(
    [LEVEL + HEAT_LEVELS - 1 - min(HEAT_LEVELS - 1, held * HEAT_LEVELS // CERTAIN) for held in range(256)], np.uint8
)
"""The code of each confidence; the least is the highest."""
OLDEST = 256
AGE_CODES = np.array(
    [LEVEL + HEAT_LEVELS - 1 - min(HEAT_LEVELS - 1, (n.bit_length() + 1) // 2) for n in range(OLDEST + 1)], np.uint8
)
"""The code of each age: 0, 1 to 3, 4 to 15 and so on; the youngest is the highest."""
TIMES_CODES = np.array([LEVEL + level for level in (0, 1, 2, 3, 3, 4, 4, 4, 4, 5)], np.uint8)
"""The code of each number of remasks."""
MOST_REMASKS = len(TIMES_CODES) - 1


class Scan:
    """What a mode has to know of all earlier steps."""

    def __init__(self, positions: int) -> None:
        self.ages = np.full(positions, OLDEST, np.uint16)
        """steps since each position last changed; between two calls at most OLDEST"""
        self.remasks = np.zeros(positions, np.uint16)
        """how often each was remasked; between two calls at most MOST_REMASKS"""


@dataclass(frozen=True)
class Mode:
    """`encode` returns a code of every position and step; where a cell holds several, the greatest wins."""

    name: str
    legend: str
    encode: Callable[[Columns, Scan], Bytes]
    levels: tuple[int, ...] = ()
    """level of the heat palette of each code from LEVEL on; empty: the codes are those of `State`"""
    words: tuple[str, ...] = ()
    """the meaning of each level"""
    scans: bool = False
    """whether every earlier column has to be encoded first"""


def _states(columns: Columns, scan: Scan) -> Bytes:
    return columns.states


def _confidence(columns: Columns, scan: Scan) -> Bytes:
    """Encode the probability that a token had when it was revealed, as the text does; the least confident wins."""
    codes = CONFIDENCE_CODES[columns.held]
    codes[columns.states == State.MASKED] = MASKED
    codes[columns.states == State.REMASKED] = LOST
    return codes


def _age(columns: Columns, scan: Scan) -> Bytes:
    """Encode the steps since a position last changed, on a logarithmic scale; the youngest wins."""
    codes, ages = np.empty_like(columns.states), scan.ages
    for row, unchanged in zip(codes, columns.states < State.REVEALED, strict=True):
        ages += 1
        ages *= unchanged
        AGE_CODES.take(ages, out=row, mode="clip")
    np.minimum(ages, OLDEST, out=ages)
    return _but_masked(codes, columns)


def _times(columns: Columns, scan: Scan) -> Bytes:
    """Encode how often a position has been remasked so far; the most often wins."""
    codes, remasks = np.empty_like(columns.states), scan.remasks
    for row, remasked in zip(codes, columns.states == State.REMASKED, strict=True):
        remasks += remasked
        TIMES_CODES.take(remasks, out=row, mode="clip")
    np.minimum(remasks, MOST_REMASKS, out=remasks)
    return _but_masked(codes, columns)


def _but_masked(codes: Bytes, columns: Columns) -> Bytes:
    """Return codes in which a masked position of the lowest level is MASKED."""
    codes[(codes == LEVEL) & (columns.states == State.MASKED)] = MASKED
    return codes


UP, DOWN = tuple(range(HEAT_LEVELS)), tuple(reversed(range(HEAT_LEVELS)))

MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("state", "masked dark, kept grey, new green, remasked orange", _states),
        Mode(
            "confidence", "probability when revealed: dark low, bright high", _confidence, DOWN,
            tuple(f"p {low / HEAT_LEVELS:.2f} to {(low + 1) / HEAT_LEVELS:.2f}" for low in DOWN),
        ),
        Mode(
            "age", "steps since the last change: bright 0, dark 256 or more", _age, UP,
            ("256 or more", "64 to 255", "16 to 63", "4 to 15", "1 to 3", "0"), scans=True,
        ),
        Mode(
            "times remasked", "remasks so far: dark 0, bright 9 or more", _times, UP,
            ("0", "1", "2", "3 to 4", "5 to 8", "9 or more"), scans=True,
        ),
    )
}  # fmt: skip
"""By name; a mode that needs the record alone is added by one line."""
