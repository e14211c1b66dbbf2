"""The breakpoints of a session, as a value, and the recorded steps that hit them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from engine.debug import breakpoints
from engine.debug.conditions import Condition
from engine.debug.findings import Hit
from engine.records import Change, Frame
from engine.sampling.trace import Record
from engine.text.characters import Characters

NAMED = 4
"""The largest number of positions named in a sentence."""


@dataclass(frozen=True)
class Breakpoint:
    """One breakpoint; `text` is the condition as typed."""

    number: int
    text: str
    on: bool = True


@dataclass(frozen=True)
class Breakpoints:
    """Numbered from 1; numbers are not reused."""

    listed: tuple[Breakpoint, ...] = ()
    last: int = 0
    """the highest number so far"""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Breakpoints:
        """Return a breakpoint for each text.  Raises ValueError if one is not a condition."""
        found = cls()
        for text in texts:
            found = found.add(str(breakpoints.parse_condition(text)))
        return found

    def add(self, text: str) -> Breakpoints:
        """Return the breakpoints with one more; `text` is a condition."""
        return Breakpoints((*self.listed, Breakpoint(self.last + 1, text)), self.last + 1)

    def remove(self, number: int) -> Breakpoints:
        """Return the breakpoints without one."""
        return replace(self, listed=tuple(stop for stop in self.listed if stop.number != number))

    def toggle(self, number: int) -> Breakpoints:
        """Return the breakpoints with one switched on or off."""
        listed = (replace(stop, on=stop.on != (stop.number == number)) for stop in self.listed)
        return replace(self, listed=tuple(listed))


class Conditions:
    """Parses conditions with the vocabulary of the run, each once, because that searches the vocabulary."""

    def __init__(self) -> None:
        self._pieces: Sequence[str] = ()
        self._characters: Characters | None = None
        self._parsed: dict[str, Condition | None] = {}
        """by text; None: invalid for the model"""

    def use_pieces(self, pieces: Sequence[str], fragments: Mapping[int, bytes] = MappingProxyType({})) -> None:
        """Parse conditions on tokens with this vocabulary."""
        self._pieces, self._characters = pieces, Characters.of(fragments, len(pieces))
        self._parsed.clear()

    def checked(self, text: str) -> str:
        """Return a condition as it is listed.  Raises ValueError if the text is not a condition."""
        return str(breakpoints.parse_condition(text, self._pieces, self._characters))

    def hit(self, stops: Breakpoints, record: Record, first: int, last: int) -> tuple[Hit, ...]:
        """Return the breakpoints hit by the first position in first + 1 to last that hits any."""
        conditions = self._valid(stops)
        for position in range(first + 1, last + 1) if conditions else ():
            frame, before = record.frame(position), record.frame(position - 1)
            if frame is None or frame.edit is not None:
                continue
            checked = (
                breakpoints.check_breakpoint(number, condition, frame, before) for number, condition in conditions
            )
            if hits := tuple(hit for hit in checked if hit is not None):
                return hits
        return ()

    def _valid(self, stops: Breakpoints) -> list[tuple[int, Condition]]:
        """Return the conditions that are on and valid for the model of the record."""
        parsed = ((stop.number, self._condition(stop.text)) for stop in stops.listed if stop.on)
        return [(number, condition) for number, condition in parsed if condition is not None]

    def _condition(self, text: str) -> Condition | None:
        """Return the parsed condition; None if it is invalid for the model."""
        if text not in self._parsed:
            try:
                self._parsed[text] = breakpoints.parse_condition(text, self._pieces, self._characters)
            except ValueError:
                self._parsed[text] = None
        return self._parsed[text]


def position_of(hit: Hit, frame: Frame, sample: int) -> int | None:
    """Return the first position that a hit is about; None if it is about the whole step.

    A condition that names no positions but counts remasked or revealed ones is about the first of those.
    """
    if hit.positions:
        return hit.positions[0]
    for word, change in (("remasked", Change.REMASKED), ("revealed", Change.REVEALED)):
        found = np.flatnonzero(frame.change[sample] == change)
        if re.search(rf"\b{word}\b", hit.text, re.IGNORECASE) and len(found):
            return int(found[0])
    return None


def describe_hits(hits: Sequence[Hit], batch: int, ascii_only: bool, pane: str = "") -> str:
    """Return the line that lists the hits; only the first with its positions and sample.

    pane: the letter of the pane that was hit.  Pane and sample come first: a narrow line has no room for its end.
    """
    first = hits[0]
    place = ""
    if first.positions:
        named = ", ".join(map(str, first.positions[:NAMED]))
        more = f" and {len(first.positions) - NAMED} more" if len(first.positions) > NAMED else ""
        place = f", position {named}{more}" if len(first.positions) == 1 else f", positions {named}{more}"
    where = (f" in pane {pane}" if pane else "") + (f", sample {first.samples[0] + 1}" if batch > 1 else "")
    others = "".join(f"; {hit.text}" for hit in hits[1:])
    meaning = "" if first.message.startswith(first.text) else f" ({first.message})"
    return f"{'[]' if ascii_only else '■'} stopped at step {first.step}{where}: {first.text}{meaning}{place}{others}"
