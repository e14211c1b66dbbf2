"""Where in the file a branch's frames, states and edits lie, and its figures."""

from __future__ import annotations

import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.recording.frames import FINAL, FrameHead
from engine.recording.layout import Cursor
from engine.records import Branch
from engine.sampling.figures import FIGURES, Curves

ROWS = struct.Struct("<HII")
"""branch, index of the first frame, frames"""
STORED = {name: kind.stored for name, kind in FIGURES.items() if kind.stored}
"""The columns that a recording keeps, and as what; the others follow from its frames."""
HEADS = ("expected", "calls")
"""The columns that follow from the frames' heads alone."""
MOST_CALLS = 1 << 62
MOST_ROWS = 1 << 16
"""Frames times samples of one record of figures."""


class BranchEntry:
    """One branch.  Positions below its fork are its parent's; frame i led to position i + 1."""

    def __init__(self, branch: Branch, origin: int, calls: int, batch: int) -> None:
        """Index a branch.  origin: offset of the branch's record.  calls: network calls at the fork."""
        self.branch, self.number, self.fork, self.origin = branch, branch.id, branch.at, origin
        self.offsets, self.settings = array("Q"), array("H")
        self.changes: list[tuple[int, int]] = []
        """(step, number of the settings from there on), a step for the first frame and for each that changes them"""
        self.expected, self.calls = array("d"), array("q")
        self.keys: list[int] = []
        """positions of its keyframes, ascending"""
        self.key_offsets = array("Q")
        self.edits: list[int] = []
        """positions that a person's edit led to"""
        self.clean_ups: list[int] = []
        """positions that a clean-up led to"""
        self.curves = Curves(batch)
        """of its own frames, those of its parent left out"""
        self.computed = Curves(batch)
        """the same, of those frames that a figure has been computed for which the file does not hold"""
        self.stored = 0
        """frames whose figures are in the file"""
        self._calls = calls

    def __len__(self) -> int:
        """Return the last position."""
        return self.fork + len(self.offsets)

    def add(self, offset: int, head: FrameHead, alpha_s: float) -> None:
        """Add one frame.  Its offset comes last, as it makes the frame count."""
        self._calls = max(-MOST_CALLS, min(self._calls + head.calls, MOST_CALLS))
        if not self.changes or self.changes[-1][1] != head.settings:
            self.changes.append((len(self), head.settings))
        self.settings.append(head.settings)
        self.expected.append(1 - alpha_s)
        self.calls.append(self._calls)
        if head.by_hand:
            self.edits.append(len(self) + 1)
        if head.flags & FINAL:
            self.clean_ups.append(len(self) + 1)
        self.offsets.append(offset)

    def add_key(self, position: int, offset: int) -> None:
        self.keys.append(position)
        self.key_offsets.append(offset)

    def key(self, position: int) -> tuple[int, int] | None:
        """Return the last keyframe at or before a position: where in the run, and its offset; None before the first."""
        i = bisect_right(self.keys, position)
        return (self.keys[i - 1], self.key_offsets[i - 1]) if i else None

    def cut(self, position: int) -> None:
        """Forget the frames beyond a position."""
        kept = max(0, position - self.fork)
        for column in (self.offsets, self.settings, self.expected, self.calls):
            del column[kept:]
        self.changes = [change for change in self.changes if change[0] < self.fork + kept]

    def add_rows(self, columns: Mapping[str, NDArray[np.float64]], count: int) -> None:
        """Add figures of the next frames from the file, [count, B] each."""
        rows, batch = slice(self.stored, self.stored + count), self.curves.batch
        known = {name: np.array(values[rows])[:, None] for name, values in self._heads().items()}
        self.curves.extend({**columns, **{k: np.broadcast_to(v, (count, batch)) for k, v in known.items()}})
        self.stored += count

    def curves_of(self, name: str) -> Curves:
        """Return the curves that have a figure."""
        return self.curves if name in STORED or name in HEADS else self.computed

    def column(self, name: str, sample: int) -> NDArray[np.float64]:
        """Return one figure of the branch's own frames, as far as it is there."""
        return self.curves_of(name).column(name, sample)

    def _heads(self) -> dict[str, array[float] | array[int]]:
        return dict(zip(HEADS, (self.expected, self.calls), strict=True))


def pack_rows(line: BranchEntry, first: int, count: int) -> bytes:
    """Return the figures of a branch's own frames `first` to `first + count - 1`."""
    batch = range(line.curves.batch)
    parts = []
    for name, dtype in STORED.items():
        values = np.stack([line.column(name, sample)[first : first + count] for sample in batch], 1)
        parts.append(_planes(values.astype(dtype)))
    head = ROWS.pack(line.number, line.fork + first, count)
    return head + zlib.compress(b"".join(parts), 6)


def unpack_rows(cursor: Cursor, count: int, batch: int) -> dict[str, NDArray[np.float64]]:
    """Return the columns, float64 [count, B]; raises ValueError for other bytes."""
    if not 0 < count * batch <= max(MOST_ROWS, batch):
        raise ValueError(f"a record of the recording has figures of {count} frames")
    sizes = {name: np.dtype(dtype).itemsize for name, dtype in STORED.items()}
    data, at, columns = cursor.unzip(count * batch * sum(sizes.values())), 0, {}
    for name, dtype in STORED.items():
        bytes_ = np.frombuffer(data, np.uint8, count * batch * sizes[name], at).reshape(sizes[name], -1)
        columns[name] = bytes_.T.copy().view(dtype).reshape(count, batch).astype(np.float64)
        at += count * batch * sizes[name]
    return columns


def _planes(values: NDArray[np.generic]) -> bytes:
    """Return the bytes of numbers by rank, all first bytes first: what is alike in neighbours then lies together."""
    flat = np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.dtype.itemsize)
    return flat.T.tobytes()
