"""Write a recording during the run: every frame is in the file when `frame` returns."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engine.files.atomic import named_errors, replacing, tidy
from engine.files.regular import regular_file
from engine.recording import frames
from engine.recording.branch_index import MOST_ROWS, BranchEntry, pack_rows
from engine.recording.entries import (
    LONGEST_LABEL,
    Header,
    Mark,
    Pieces,
    SettingsEntry,
    check_edit,
    pack,
    written,
)
from engine.recording.index import FORK, MOST_ENTRIES, PLACE
from engine.recording.layout import NOWHERE, Kind, pack_record, preamble
from engine.recording.recording import RecordedTrace, Recording
from engine.recording.state import StoredState, encode_state
from engine.records import Frame, Settings
from engine.sampling.trace import RunStart

KEY_EVERY = 64
"""Steps between states that are written whole; also the most frames from which a step is rebuilt."""
CHUNK = 1 << 20


class Recorder:
    """One writer of one file, which `recording` reads at the same time.

    Nothing is ever overwritten, so a process that is killed loses at most the frame it was writing.  Methods may be
    called from any thread; they raise OSError where the file cannot grow, which leaves it as it was.
    """

    def __init__(self, file: int, name: str, vocabulary: Sequence[str], fragments: Mapping[int, bytes]) -> None:
        """Write to a file.  file: open for reading and writing, holds a recording, and is its own to close.

        See the class methods.
        """
        self.recording = Recording.adopt(file, name)
        self._file, self._lock, self._index = file, self.recording.lock, self.recording.index
        self._vocabulary, self._fragments = vocabulary, fragments
        self._known = np.zeros(self.recording.header.model.vocab_size, bool)
        # an older file has tokens that hold a part of a character without their bytes
        known = [i for i in self._index.pieces if i not in fragments or i in self._index.fragments]
        self._known[known] = True

    @classmethod
    def create(cls, path: str | PathLike[str], header: Header, start: RunStart) -> Self:
        """Return a new file; raises FileExistsError where there is one, ValueError for a run that no reader would take.

        header: `model.pieces` is the vocabulary, of which the file gets what occurs.
        """
        begin = _begin(header, start)
        return cls(_filled(path, [begin]), os.fspath(path), header.model.pieces, header.model.fragments)

    @classmethod
    def spool(cls, header: Header, start: RunStart) -> Self:
        """Return a recorder in a temporary file, deleted with the process unless `keep` moves it."""
        begin = _begin(header, start)
        name = f"the recording in {tempfile.gettempdir()}"
        with named_errors(Path(name)):
            with tempfile.TemporaryFile() as temporary:
                file = os.dup(temporary.fileno())
            _write_all(file, begin, 0)
        return cls(file, name, header.model.pieces, header.model.fragments)

    @classmethod
    def in_memory(cls, header: Header, start: RunStart) -> Self:
        """Return a recorder in memory, for where no directory can be written; `keep` moves it to a file.

        Raises OSError on a system without files in memory.
        """
        begin = _begin(header, start)
        if not hasattr(os, "memfd_create"):
            raise OSError(errno.ENOSYS, "this system has no files in memory")
        file = os.memfd_create("remdm")
        _write_all(file, begin, 0)
        return cls(file, "the recording in memory", header.model.pieces, header.model.fragments)

    @classmethod
    def resume(
        cls,
        path: str | PathLike[str],
        vocabulary: Sequence[str] = (),
        fragments: Mapping[int, bytes] = MappingProxyType({}),
    ) -> Self:
        """Continue a file; a record that is torn at its end is cut off.

        vocabulary: texts by token number; empty: tokens that have not occurred yet get none.  fragments: as in
        `ModelInfo`.  Raises ValueError for a file that is not a recording, is damaged before its end, or is being
        written.
        """
        file, name = os.open(regular_file(path), os.O_RDWR), os.fspath(path)
        try:
            _claim(file, name)
        except ValueError:
            os.close(file)
            raise
        made = cls(file, name, vocabulary, fragments)
        try:
            if made.recording.damaged:
                raise ValueError(made.recording.damage)
            for line in made._index.lines:
                made.recording.at(line.number, len(line))
                made.recording.settle(line)
            os.ftruncate(file, made.recording.end)
        except BaseException:
            made.recording.close()
            raise
        return made

    def close(self) -> None:
        """Write what is still to be written, see it to the disk, and close the file."""
        with self._lock:
            if self.recording.closed:
                return
            try:
                for line in self._index.lines:
                    self._write(self._rows(line))
                with named_errors(Path(self.recording.name)):
                    os.fsync(self._file)
            finally:
                self.recording.close()

    def keep(self, path: str | PathLike[str]) -> None:
        """Copy what is written to a new file and continue there; raises FileExistsError if it exists.

        The file before it stays as it is; a spooled one is deleted.
        """
        with self._lock:
            self._open()
            end = self.recording.end
            file = _filled(path, (os.pread(self._file, min(CHUNK, end - at), at) for at in range(0, end, CHUNK)))
            self._file = file
            self.recording.move(file, os.fspath(path))

    def trace(self, branch: int = 0) -> RecordedTrace:
        """Return a branch, to be read and appended to."""
        self._line(branch)
        return RecordedTrace(self.recording, branch, self.frame)

    # -- what is recorded

    def frame(self, branch: int, frame: Frame) -> None:
        """Write the next frame of a branch; raise ValueError if its index or shape is wrong."""
        with self._lock:
            line = self._line(branch)
            if frame.index != len(line):
                raise ValueError(f"frame {frame.index} cannot follow {len(line)} recorded ones")
            before, mask = self._tip(line), self.recording.header.model.mask_id
            number, settings = self._numbered(frame.settings)
            payload, after = frames.encode_frame(before, frame, branch, number, mask)
            new = self._new(frame.tokens)
            if frame.edit is not None:
                check_edit(frame.edit, self.recording.header)
            due = len(line) - (line.keys[-1] if line.keys else line.fork) >= KEY_EVERY
            key = pack_record(Kind.KEYFRAME, PLACE.pack(branch, len(line)) + encode_state(before)) if due else b""
            rows = self._rows(line) if due or self._waiting(line) * len(frame.tokens) >= MOST_ROWS else b""
            self._write(settings + self._pieces(new) + rows + key + pack_record(Kind.FRAME, payload))
            line.curves.append(frame)
            self.recording.remember(line, frame, after)

    def branch(self, parent: int, position: int) -> int:
        """Return a new branch that begins with the state at a position of another; its number.

        Raises ValueError where there is no such position.
        """
        with self._lock:
            number = len(self._index.lines)
            if number >= MOST_ENTRIES:
                raise ValueError(f"a recording holds {MOST_ENTRIES} branches at most")
            state = self.recording.at(self._line(parent).number, position)[1]
            self._write(pack_record(Kind.BRANCH, FORK.pack(number, parent, position) + encode_state(state)))
            return number

    def mark(self, branch: int, position: int, label: str = "") -> None:
        """Write a bookmark of a position; raise ValueError where there is no such position."""
        with self._lock:
            if not 0 <= position <= len(self._line(branch)):
                raise ValueError(f"branch {branch} has no step {position} to mark")
            self._write(pack_record(Kind.MARK, pack(Mark(branch, position, label[:LONGEST_LABEL]))))

    # -- writing

    def _line(self, branch: int) -> BranchEntry:
        return self._index.line(branch)

    def _tip(self, line: BranchEntry) -> StoredState:
        """Return the state that the next frame of a branch starts from."""
        return self.recording.at(line.number, len(line))[1]

    def _write(self, records: bytes) -> None:
        """Append whole records and take them in."""
        self._open()
        with named_errors(Path(self.recording.name)):
            try:
                _write_all(self._file, records, self.recording.end)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, self.recording.end)
                raise
        self.recording.take_in()

    def _open(self) -> None:
        if self.recording.closed:
            raise ValueError(f"{self.recording.name} is closed")

    def _numbered(self, settings: Settings) -> tuple[int, bytes]:
        """Return the number of some settings, and the record that gives them one where they are new."""
        there = self._index.settings
        for number in range(len(there) - 1, -1, -1):
            if there[number] == settings:
                return number, b""
        if len(there) >= MOST_ENTRIES:
            raise ValueError(f"a recording holds {MOST_ENTRIES} different settings at most")
        data = SettingsEntry.of(settings).checked()
        return len(there), pack_record(Kind.SETTINGS, pack(data))

    def _new(self, tokens: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the tokens whose texts the file lacks; raises ValueError for a token outside the vocabulary."""
        if tokens.size and not (tokens.min() >= 0 and tokens.max() < len(self._known)):
            raise ValueError(f"a frame holds a token outside the vocabulary of {len(self._known)}")
        flat = tokens.reshape(-1)
        known = self._known[flat]
        return np.unique(flat[~known]).astype(np.int64) if not known.all() else NOWHERE

    def _pieces(self, new: NDArray[np.int64]) -> bytes:
        if not len(new):
            return b""
        self._known[new] = True
        return pack_record(Kind.PIECES, pack(Pieces.of(new.tolist(), self._vocabulary, self._fragments)))

    def _waiting(self, line: BranchEntry) -> int:
        """Return the number of frames of a branch whose figures are not in the file."""
        return len(line.offsets) - line.stored

    def _rows(self, line: BranchEntry) -> bytes:
        """Return the figures that the file lacks."""
        count = self._waiting(line)
        return pack_record(Kind.FIGURES, pack_rows(line, line.stored, count)) if count > 0 else b""


def _begin(header: Header, start: RunStart) -> bytes:
    """Return what comes before the first frame."""
    shape = start.tokens.shape
    if shape != (header.batch, header.length) or start.locked.shape != shape:
        raise ValueError(f"the canvas {shape} is not the header's, {(header.batch, header.length)}")
    first = np.unique(start.tokens).tolist()
    return b"".join((
        preamble(),
        pack_record(Kind.HEADER, pack(written(header))),
        pack_record(Kind.BRANCH, FORK.pack(0, 0, 0) + encode_state(StoredState.start(start.tokens, start.locked))),
        pack_record(Kind.PIECES, pack(Pieces.of(first, header.model.pieces, header.model.fragments))),
    ))  # fmt: skip


def _filled(path: str | PathLike[str], parts: Iterable[bytes]) -> int:
    """Return a new file, open and claimed, which is there once it has all parts.  Raises FileExistsError."""
    path, file = Path(path), -1
    tidy(path.parent, [glob.escape(path.name)])
    try:
        with replacing(path, new=True) as part:
            file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            _claim(file, str(path))
            at = 0
            for data in parts:
                _write_all(file, data, at)
                at += len(data)
    except BaseException:
        if file >= 0:
            os.close(file)
        raise
    return file


def _claim(file: int, name: str) -> None:
    """Claim the file for writing until it is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{name} is being written by another process") from None


def _write_all(file: int, data: bytes, at: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(file, data[written:], at + written)
