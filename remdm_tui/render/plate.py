"""The states of one sample over a whole run, positions by steps, read from its record.  Pure numpy."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.records import Change
from engine.sampling.trace import Record

Bytes = NDArray[np.uint8]
Reads = Literal["confidence", "sigma"]
"""What a plate keeps beside the states."""


class State(IntEnum):
    """The state of a position after a step.  Where a cell of the map holds several, the greatest wins."""

    UNREAD = 0
    """the step is not recorded yet"""
    MASKED = 1
    LOCKED = 2
    KEPT = 3
    REVEALED = 4
    EDITED = 5
    REMASKED = 6


OF_CHANGE = np.array([State.MASKED, State.KEPT, State.REVEALED, State.REMASKED, State.LOCKED, State.EDITED], np.uint8)
"""The state of each `Change`."""
SIGMAS = np.array([np.finfo(np.float32).smallest_subnormal, 0.004, 0.016, 0.064, 0.25], np.float32)
"""Where the levels of sigma from the second on begin; the first is 0."""
CERTAIN = 252
"""The byte of a confidence of 1; 0 stands for 0 and for a masked position."""
CHUNK = 256
"""Columns that are kept or dropped together."""
MOST = 1 << 26
"""Bytes of columns in memory; older ones are read from the record again when they are needed."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Neighbouring columns, [steps, positions]: the state after each step, and a byte of what the plate reads."""

    first: int
    states: Bytes
    held: Bytes
    """confidence in parts of `CERTAIN`, or the level of sigma"""


class Plate:
    """One sample of a record.  Column s is the state after s steps; two bytes a position and step.

    `read` must be called for new columns; nothing else waits for a file, unless the run is larger than `most`.
    reads: what stands beside the state.
    """

    def __init__(self, record: Record, sample: int, most: int = MOST, reads: Reads = "confidence") -> None:
        self.record, self.sample, self.reads = record, sample, reads
        self.positions: int = record.start.tokens.shape[1]
        self.length = 0
        """columns that have been read"""
        self._room = max(2, most // (2 * CHUNK * self.positions))
        self._chunks: OrderedDict[int, Columns] = OrderedDict()

    def is_of(self, record: Record, sample: int, reads: Reads = "confidence") -> bool:
        """Return whether the plate is of this sample, and the record has not become shorter."""
        same = self.record is record and self.sample == sample and self.reads == reads
        return same and self.length <= len(record) + 1

    def read(self, seconds: float | None = None, clock: Callable[[], float] = time.perf_counter) -> bool:
        """Read new columns, for about `seconds`; return whether all are read.  Raises ValueError as the record does."""
        end, start = len(self.record) + 1, clock()
        while self.length < end:
            chunk = self._chunk(self.length // CHUNK, self.length + 1)
            self._fill(chunk, self.length)
            self.length += 1
            if seconds is not None and self.length < end and clock() - start >= seconds:
                return False
        return True

    def columns(self, first: int, last: int) -> Iterator[Columns]:
        """Yield the columns from `first` until before `last` in order, as far as they have been read."""
        last = min(last, self.length)
        for number in range(first // CHUNK, -(-last // CHUNK)):
            chunk = self._chunk(number, self.length)
            begin = max(first, chunk.first)
            part = slice(begin - chunk.first, min(last - chunk.first, CHUNK))
            yield Columns(begin, chunk.states[part], chunk.held[part])

    @property
    def nbytes(self) -> int:
        """Bytes of the columns in memory."""
        return sum(chunk.states.nbytes + chunk.held.nbytes for chunk in self._chunks.values())

    def _chunk(self, number: int, end: int) -> Columns:
        """Return a chunk with room for the columns below `end`; one that was dropped is read again."""
        first = number * CHUNK
        rows = min(end - first, CHUNK)
        found = self._chunks.get(number)
        if found is None or len(found.states) < rows:
            # the last of a run's planned columns need no more room than they take
            planned = self.record.start.steps + 1 - first
            shape = planned if rows <= planned < CHUNK else CHUNK, self.positions
            found = Columns(first, np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))
            self._chunks[number] = found
            for step in range(first, min(self.length, first + CHUNK)):
                self._fill(found, step)
            while len(self._chunks) > self._room:
                self._chunks.popitem(last=False)
        self._chunks.move_to_end(number)
        return found

    def _fill(self, chunk: Columns, step: int) -> None:
        """Read one column into its chunk."""
        row = step - chunk.first
        chunk.states[row], chunk.held[row] = _read(self.record, self.sample, step, self.reads)


def column(record: Record, sample: int, step: int, reads: Reads) -> Columns:
    """Read one column alone."""
    states, held = _read(record, sample, step, reads)
    return Columns(step, states[None], held[None])


def _read(record: Record, sample: int, step: int, reads: Reads) -> tuple[Bytes, Bytes]:
    frame = record.frame(step)
    if frame is None:
        change, held = record.change(step, sample), record.held(step, sample)
    else:
        change, held = frame.change[sample], frame.held[sample]
    states = OF_CHANGE[change]
    if frame is not None and frame.edit is not None:
        locked = record.change(step - 1, sample) == Change.LOCKED
        states[(states >= State.REVEALED) | (locked != (change == Change.LOCKED))] = State.EDITED
    if reads == "sigma":
        if frame is None or frame.edit is not None:
            return states, np.zeros_like(states)
        # a file may hold any float; fmax takes 0 for nan
        levels = np.searchsorted(SIGMAS, np.fmax(frame.remask[sample], 0), "right").astype(np.uint8)
        # it applied to what was revealed before the step
        return states, np.where((states == State.KEPT) | (states == State.REMASKED), levels, 0).astype(np.uint8)
    with np.errstate(invalid="ignore"):
        return states, np.minimum(np.fmax(held * CERTAIN, 0), CERTAIN).astype(np.uint8)
