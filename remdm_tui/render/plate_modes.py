"""What the colour of text and map stands for: one entry of `MODES` for each mode.  Pure numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remdm_tui.render.palette import LEVEL_COUNT
from remdm_tui.render.plate import CERTAIN, Bytes, Columns, Plate, Reads, State

UNREAD, MASKED, LEVEL = 0, 1, 2
"""Codes of a mode with a scale: `LEVEL` and the `LEVEL_COUNT - 1` codes above it are the levels."""
PLAIN = 255
"""In place of a level: the state is shown."""
LOST = LEVEL + LEVEL_COUNT
"""The code of a position that was just remasked, where the mode shows that."""


HALVES = tuple(CERTAIN >> n for n in range(LEVEL_COUNT - 1, 0, -1))
"""Where the levels of confidence from the second on begin, in parts of `CERTAIN`: each is twice the one before."""
CONFIDENCE_CODES = np.array(
    [LEVEL + LEVEL_COUNT - 1 - sum(held >= least for least in HALVES) for held in range(256)], np.uint8
)
"""The code of each confidence; the least is the highest."""
OLDEST = 256
AGE_CODES = np.array(
    [LEVEL + LEVEL_COUNT - 1 - min(LEVEL_COUNT - 1, (n.bit_length() + 1) // 2) for n in range(OLDEST + 1)], np.uint8
)
"""The code of each age: 0, 1 to 3, 4 to 15 and so on; the youngest is the highest."""
TIMES_CODES = np.array([LEVEL + level for level in (0, 1, 2, 3, 3, 4, 4, 4, 4, 5)], np.uint8)
"""The code of each number of remasks or edits."""
MOST_TIMES = len(TIMES_CODES) - 1


class Scan:
    """What a mode has to know of all earlier steps."""

    def __init__(self, positions: int) -> None:
        self.ages = np.full(positions, OLDEST, np.uint16)
        """steps since each position last changed; between two calls at most OLDEST"""
        self.remasks = np.zeros(positions, np.uint16)
        """how often each was remasked; between two calls at most MOST_TIMES"""
        self.edits = np.zeros(positions, np.uint16)
        """how often the token of each was replaced; between two calls at most MOST_TIMES"""

    def copy(self) -> Scan:
        """Return one that goes on from the same step."""
        made = Scan(0)
        made.ages, made.remasks, made.edits = self.ages.copy(), self.remasks.copy(), self.edits.copy()
        return made


@dataclass(frozen=True)
class Mode:
    """`encode` returns a code of every position and step; where a cell holds several, the greatest wins."""

    name: str
    legend: str
    encode: Callable[[Columns, Scan], Bytes]
    levels: tuple[int, ...] = ()
    """level of the palette of each code from LEVEL on; empty: the codes are those of `State`"""
    words: tuple[str, ...] = ()
    """the meaning of each level"""
    scans: bool = False
    """whether every earlier column has to be encoded first"""
    network: bool = False
    """whether the text's levels come from the network, a call for each step; the map shows the states then"""
    reads: Reads = "confidence"
    """what `encode` needs besides the states"""

    @property
    def scale(self) -> tuple[tuple[int, str], ...]:
        """Level of the palette of levels and meaning, the lowest level first."""
        return tuple(sorted(zip(self.levels, self.words, strict=True)))

    def text_levels(self, codes: Bytes) -> Bytes:
        """Return the level of the palette of levels of each code; `PLAIN` where the state is shown."""
        table = np.full(LOST + 1, PLAIN, np.uint8)
        table[LEVEL:LOST] = self.levels
        return table[np.minimum(codes, LOST)]


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
    return _counted(columns, scan.remasks, State.REMASKED)


def _edits(columns: Columns, scan: Scan) -> Bytes:
    """Encode how often the token at a position has been replaced so far; the most often wins."""
    return _counted(columns, scan.edits, State.EDITED)


def _counted(columns: Columns, times: NDArray[np.uint16], state: State) -> Bytes:
    """Encode how often a position was in a state, `times` before these columns, which goes on with them."""
    codes = np.empty_like(columns.states)
    for row, happened in zip(codes, columns.states == state, strict=True):
        times += happened
        TIMES_CODES.take(times, out=row, mode="clip")
    np.minimum(times, MOST_TIMES, out=times)
    return _but_masked(codes, columns)


def _sigma(columns: Columns, scan: Scan) -> Bytes:
    """Encode the probability that the step remasked a token, on a logarithmic scale; the greatest wins."""
    return _but_masked(columns.held + LEVEL, columns)


def _but_masked(codes: Bytes, columns: Columns) -> Bytes:
    """Return codes in which a masked position of the lowest level is MASKED."""
    codes[(codes == LEVEL) & (columns.states == State.MASKED)] = MASKED
    return codes


UP, DOWN = tuple(range(LEVEL_COUNT)), tuple(reversed(range(LEVEL_COUNT)))

MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("state", "masked dark, kept grey, revealed green, remasked orange", _states),
        Mode(
            "confidence", "probability when revealed: dark below .03, bright .5 or more", _confidence, DOWN,
            (".5+", "<.5", "<.25", "<.13", "<.06", "<.03"),
        ),
        Mode(
            "age", "steps since the last change: bright 0, dark 256 or more", _age, UP,
            ("256+", "64-255", "16-63", "4-15", "1-3", "0"), scans=True,
        ),
        Mode(
            "times remasked", "remasks so far: dark 0, bright 9 or more", _times, UP,
            ("0", "1", "2", "3-4", "5-8", "9+"), scans=True,
        ),
        Mode(
            "times edited", "tokens replaced so far: dark 0, bright 9 or more", _edits, UP,
            ("0", "1", "2", "3-4", "5-8", "9+"), scans=True,
        ),
        Mode(
            "sigma", "probability of a remask in the step: dark 0, bright .25 or more", _sigma, UP,
            ("0", "<.004", "<.016", "<.064", "<.25", ".25+"), reads="sigma",
        ),
        Mode(
            "entropy", "entropy of the network's prediction, in nats: a network call a step", _states, UP,
            ("<.25", "<.5", "<1", "<2", "<4", "4+"), network=True,
        ),
    )
}  # fmt: skip
"""By name, in the order in which a key takes them; a mode that needs the record alone is added by one line."""

ENTROPIES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Nats at which the levels of entropy from the second on begin."""


def entropy_levels(positions: Sequence[int], entropies: Sequence[float], length: int) -> Bytes:
    """Return the levels of a text of which some positions are predicted."""
    levels = np.full(length, PLAIN, np.uint8)
    levels[list(positions)] = np.searchsorted(ENTROPIES, entropies, "right")
    return levels


class Levels:
    """The levels of the text in a mode: those of one column, for any step."""

    EVERY = 256
    """Steps between two scans that are kept, so that a step back need not begin at the start."""

    def __init__(self, plate: Plate, mode: Mode) -> None:
        self.plate, self.mode = plate, mode
        self._kept: dict[int, Scan] = {0: Scan(plate.positions)}
        """by step: what is known before its column"""
        self._last: tuple[int, Scan] = 0, Scan(plate.positions)

    def at(self, step: int) -> Bytes | None:
        """Return the level after a step of each position; None while the plate has not been read so far."""
        if step >= self.plate.length:
            return None
        first, scan = self._last
        if first > step:
            first = max(kept for kept in self._kept if kept <= step)
            scan = self._kept[first].copy()
        codes = np.empty(0, np.uint8)
        while first <= step:
            end = min(step + 1, (first // self.EVERY + 1) * self.EVERY)
            for columns in self.plate.columns(first, end):
                codes = self.mode.encode(columns, scan)[-1]
            first = end
            if first % self.EVERY == 0:
                self._kept.setdefault(first, scan.copy())
        self._last = first, scan
        return self.mode.text_levels(codes)
