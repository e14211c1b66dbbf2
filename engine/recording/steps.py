"""Rebuild steps from the file: decode forward from the nearest state, and keep those read last in memory."""

from __future__ import annotations

from collections import OrderedDict

from engine.recording import frames
from engine.recording.branch_index import BranchEntry
from engine.recording.index import FORK, PLACE, Index
from engine.recording.layout import Cursor, Kind
from engine.recording.scanning import body_at
from engine.recording.state import StoredState, decode_state
from engine.records import Frame

CACHE = 1 << 24
"""Bytes of frames kept in memory."""
OVERHEAD = 4_096
"""Bytes of a frame besides its arrays."""
Step = tuple[Frame | None, StoredState]
"""A position: the frame that led to it (None at a fork), and the state there."""


class DamagedStepError(ValueError):
    """The file is damaged after `step`."""

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(reason)
        self.step = step


class StepReader:
    """The steps of the branches in a file."""

    def __init__(self, file: int, index: Index) -> None:
        """file: a descriptor, which stays the caller's."""
        self.file, self._index = file, index
        self._cache: OrderedDict[tuple[int, int], Step] = OrderedDict()

    def read(self, line: BranchEntry, position: int) -> Step:
        """Return a position of a branch, from its fork on.  Raises DamagedStepError if the file is damaged there."""
        return self._cached((line.number, position)) or self._rebuilt(line, position)

    def keep(self, line: BranchEntry, position: int, step: Step) -> Step:
        """Keep a step in memory; those least recently read are dropped."""
        self._cache[line.number, position] = step
        most = max(2, CACHE // (OVERHEAD + step[1].nbytes))
        while len(self._cache) > most:
            self._cache.popitem(last=False)
        return step

    def origin(self, line: BranchEntry) -> Step:
        """Return where a branch begins."""
        return None, self._state(line.origin, FORK.size)

    def _cached(self, key: tuple[int, int]) -> Step | None:
        found = self._cache.get(key)
        if found is not None:
            self._cache.move_to_end(key)
        return found

    def _rebuilt(self, line: BranchEntry, position: int) -> Step:
        """Decode forward from the nearest state that is at hand."""
        key = line.key(position - 1)
        reached = key[0] if key else line.fork
        try:
            reached, at = self._nearest(line, position, reached, key[1] if key else None)
            while reached < position:
                frame = self._decode(line, reached, at[1])
                at = self.keep(line, reached + 1, (frame, StoredState.after(frame)))
                reached += 1
        except ValueError as error:
            raise DamagedStepError(reached, str(error)) from None
        return at

    def _nearest(self, line: BranchEntry, position: int, floor: int, keyframe: int | None) -> tuple[int, Step]:
        """Return the last position from `floor` on whose state is in memory, else `floor`, from the file."""
        for i in range(position, floor - 1, -1):
            if found := self._cached((line.number, i)):
                return i, found
        if keyframe is not None:
            return floor, (None, self._state(keyframe, PLACE.size))
        return floor, self.keep(line, floor, self.origin(line))

    def _decode(self, line: BranchEntry, index: int, before: StoredState) -> Frame:
        body = body_at(self.file, line.offsets[index - line.fork])
        if body is None or body[0] != Kind.FRAME:
            raise ValueError("the file has changed since it was opened")
        settings = self._index.settings[line.settings[index - line.fork]]
        return frames.decode_frame(before, body, settings, self._index.known)

    def _state(self, offset: int, skipped: int) -> StoredState:
        """Return the state in the record at `offset`, after `skipped` bytes of it."""
        body = body_at(self.file, offset)
        if body is None:
            raise ValueError("the file has changed since it was opened")
        header = self._index.known
        return decode_state(Cursor(body, 1 + skipped), (header.batch, header.length), header.model.vocab_size)
