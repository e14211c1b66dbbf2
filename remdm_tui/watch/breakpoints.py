"""The breakpoints of a session: add, remove and toggle them, and find the recorded steps that hit them."""

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


class Breakpoints:
    """Numbered from 1; numbers are not reused."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        """Add a breakpoint for each text.  Raises ValueError if one is not a condition."""
        self._pieces: Sequence[str] = ()
        self._characters: Characters | None = None
        self._parsed: dict[str, Condition | None] = {}
        """conditions by text, cached because parsing searches the vocabulary; None: invalid for the model"""
        self._last = 0
        self.listed: tuple[Breakpoint, ...] = ()
        for text in texts:
            self.add(text)

    def use_pieces(self, pieces: Sequence[str], fragments: Mapping[int, bytes] = MappingProxyType({})) -> None:
        """Parse conditions on tokens with this vocabulary."""
        self._pieces, self._characters = pieces, Characters.of(fragments, len(pieces))
        self._parsed.clear()

    def add(self, text: str) -> Breakpoint:
        """Add a breakpoint.  Raises ValueError if the text is not a condition."""
        condition = breakpoints.parse_condition(text, self._pieces, self._characters)
        self._last += 1
        stop = Breakpoint(self._last, str(condition))
        self.listed += (stop,)
        return stop

    def remove(self, number: int) -> None:
        """Remove a breakpoint."""
        self.listed = tuple(stop for stop in self.listed if stop.number != number)

    def toggle(self, number: int) -> Breakpoint:
        """Switch a breakpoint on or off; return its new state."""
        self.listed = tuple(replace(stop, on=stop.on != (stop.number == number)) for stop in self.listed)
        return next(stop for stop in self.listed if stop.number == number)

    def hit(self, record: Record, first: int, last: int) -> tuple[Hit, ...]:
        """Return the breakpoints hit by the first position in first + 1 to last that hits any."""
        conditions = self._conditions()
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

    def _conditions(self) -> list[tuple[int, Condition]]:
        """Return the conditions that are on and valid for the model of the record."""
        parsed = ((stop.number, self._condition(stop.text)) for stop in self.listed if stop.on)
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


def describe_hits(hits: Sequence[Hit], batch: int, ascii_only: bool) -> str:
    """Return the line that lists the hits; only the first with its positions and sample."""
    first = hits[0]
    place = ""
    if first.positions:
        named = ", ".join(map(str, first.positions[:NAMED]))
        more = f" and {len(first.positions) - NAMED} more" if len(first.positions) > NAMED else ""
        place = f", position {named}{more}" if len(first.positions) == 1 else f", positions {named}{more}"
    if batch > 1:
        place += f", sample {first.samples[0] + 1}"
    others = "".join(f"; {hit.text}" for hit in hits[1:])
    meaning = "" if first.message.startswith(first.text) else f" ({first.message})"
    return f"{'[]' if ascii_only else '■'} stopped at step {first.step}: {first.text}{meaning}{place}{others}"
