"""The breakpoints of a session: what is typed, listed and switched, and where recorded steps hit them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from engine.debug import breakpoints
from engine.debug.conditions import Condition
from engine.debug.findings import Hit
from engine.sampling.trace import Record
from engine.text.characters import Characters

NAMED = 4
"""Positions that a sentence names at most."""


@dataclass(frozen=True)
class Stop:
    """One breakpoint; `text` is the condition as it is typed."""

    number: int
    text: str
    on: bool = True


class Breakpoints:
    """Numbered from 1; a number is never given twice."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        """Raises ValueError for a text that is no condition."""
        self._pieces: Sequence[str] = ()
        self._characters: Characters | None = None
        self._read: dict[str, Condition | None] = {}
        """conditions by their text: to look through a vocabulary takes a while; None: means nothing to the model"""
        self._last = 0
        self.listed: tuple[Stop, ...] = ()
        for text in texts:
            self.add(text)

    def use_pieces(self, pieces: Sequence[str], fragments: Mapping[int, bytes] = MappingProxyType({})) -> None:
        """The vocabulary in which conditions on tokens are read."""
        self._pieces, self._characters = pieces, Characters.of(fragments, len(pieces))
        self._read.clear()

    def add(self, text: str) -> Stop:
        """Raises ValueError that says what is wrong with a text."""
        condition = breakpoints.parse(text, self._pieces, self._characters)
        self._last += 1
        stop = Stop(self._last, str(condition))
        self.listed += (stop,)
        return stop

    def remove(self, number: int) -> None:
        self.listed = tuple(stop for stop in self.listed if stop.number != number)

    def toggle(self, number: int) -> Stop:
        """Switch one off or on; gives it as it is then."""
        self.listed = tuple(replace(stop, on=stop.on != (stop.number == number)) for stop in self.listed)
        return next(stop for stop in self.listed if stop.number == number)

    def hit(self, record: Record, first: int, last: int) -> tuple[Hit, ...]:
        """The breakpoints that the first of the positions first + 1 to last that hits any of them hits."""
        conditions = self._conditions()
        for position in range(first + 1, last + 1) if conditions else ():
            frame, before = record.frame(position), record.frame(position - 1)
            if frame is None or frame.edit is not None:
                continue
            found = (breakpoints.check(number, condition, frame, before) for number, condition in conditions)
            if hits := tuple(hit for hit in found if hit is not None):
                return hits
        return ()

    def _conditions(self) -> list[tuple[int, Condition]]:
        """Those that are on; one that means nothing to the model of the record is left out."""
        read = ((stop.number, self._condition(stop.text)) for stop in self.listed if stop.on)
        return [(number, condition) for number, condition in read if condition is not None]

    def _condition(self, text: str) -> Condition | None:
        if text not in self._read:
            try:
                self._read[text] = breakpoints.parse(text, self._pieces, self._characters)
            except ValueError:
                self._read[text] = None
        return self._read[text]


def describe_hits(hits: Sequence[Hit], batch: int, ascii_only: bool) -> str:
    """What a run has stopped at."""
    first = hits[0]
    where = ""
    if first.positions:
        named = ", ".join(map(str, first.positions[:NAMED]))
        more = f" and {len(first.positions) - NAMED} more" if len(first.positions) > NAMED else ""
        where = f", position {named}{more}" if len(first.positions) == 1 else f", positions {named}{more}"
    if batch > 1:
        where += f", sample {first.samples[0] + 1}"
    others = "".join(f"; {hit.text}" for hit in hits[1:])
    said = "" if first.said.startswith(first.text) else f" ({first.said})"
    return f"{'[]' if ascii_only else '■'} stopped at step {first.step}: {first.text}{said}{where}{others}"
