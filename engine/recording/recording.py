"""A recording as it is read: opened without torch, its frames rebuilt on demand, few of them in memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from os import PathLike
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engine.files.regular import regular_file
from engine.recording.branch_index import BranchEntry
from engine.recording.entries import Header, Mark
from engine.recording.index import Index
from engine.recording.scanning import bodies, check_preamble, torn_at
from engine.recording.state import StoredState
from engine.recording.steps import DamagedStepError, Step, StepReader
from engine.records import Branch, Change, Frame, ModelInfo, Settings
from engine.sampling.figures import Curves, Figures, figures
from engine.sampling.trace import RunStart

TOGETHER = 128
"""Frames whose figures are computed at once where the file lacks them."""
PAGES = "remdm.recording_page"
"""Entry points to functions from a recording to HTML: the engine itself draws nothing."""


class Recording:
    """A file of one run.  A position p of a branch is the state after p steps.

    Raises ValueError for a file that holds no run; one whose end is torn or damaged is read up to there.  All methods
    may be called from any thread.
    """

    def __init__(self, file: int, name: str) -> None:
        """Read a recording.  file: a descriptor, which it closes; name: for complaints."""
        self._file, self.name = file, name
        self.lock = threading.RLock()
        self.index = Index()
        self._steps = StepReader(file, self.index)
        self.damage, self.damaged = "", False
        """what is wrong with the file, in a sentence; and whether that is more than a torn end"""
        self.end = check_preamble(file, name)
        """bytes that are sound"""

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Self:
        """Open a recording.  Raises OSError where there is no such file, ValueError where it is not a recording."""
        return cls.adopt(os.open(regular_file(path), os.O_RDONLY), os.fspath(path))

    @classmethod
    def adopt(cls, file: int, name: str) -> Self:
        """Return the recording in an open file; close the file if it is not a recording."""
        try:
            made = cls(file, name)
            made._scan()
        except BaseException:
            os.close(file)
            raise
        return made

    def copy(self) -> Recording:
        """Return the recording as it is in the file now: it does not grow, and shares neither lock nor memory."""
        with self.lock:
            if self.closed:
                raise ValueError(f"{self.name} is closed")
            file = os.dup(self._file)
        made = Recording.adopt(file, self.name)
        # a record on its way to the file is no damage
        made.damage, made.damaged = self.damage, self.damaged
        return made

    def close(self) -> None:
        with self.lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = self._steps.file = -1

    @property
    def closed(self) -> bool:
        return self._file < 0

    # -- for its writer

    def take_in(self) -> None:
        """Take in the records that have been written since the last time."""
        for offset, body, following in bodies(self._file, self.end):
            self.index.take(offset, body)
            self.end = following

    def remember(self, line: BranchEntry, frame: Frame, state: StoredState) -> None:
        """Keep the last recorded step of a branch, so that it need not be read back."""
        self._steps.keep(line, len(line), (frame, state))

    def move(self, file: int, name: str) -> None:
        """Read from another file with the same bytes from now on."""
        os.close(self._file)
        self._file = self._steps.file = file
        self.name = name

    def _damaged(self, sentence: str) -> None:
        self.damage, self.damaged = sentence, True

    def _scan(self) -> None:
        """Take in what the file holds."""
        try:
            self.take_in()
        except ValueError as error:
            self._damaged(f"{self.name} is damaged from byte {self.end}: {error}")
        if not self.index.lines:
            raise ValueError(self.damage or f"{self.name} is a recording that breaks off before its first step")
        rest = os.fstat(self._file).st_size - self.end
        if rest and not self.damage:
            self.damage = f"{self.name} breaks off: its last {rest} bytes are left out"
            self.damaged = not torn_at(self._file, self.end)

    def _repr_html_(self) -> str | None:
        """Return the run as a page with a player, which notebooks show; None where no package draws it."""
        pages = entry_points(group=PAGES)
        return next((str(page.load()(self)) for page in pages), None)

    # -- what it holds

    @property
    def header(self) -> Header:
        return self.index.known

    @property
    def model(self) -> ModelInfo:
        """Return the model, with the texts of the tokens that occur; all others are empty."""
        texts = [""] * self.header.model.vocab_size
        for token, text in self.index.pieces.items():
            texts[token] = text
        return replace(self.header.model, pieces=tuple(texts), fragments=dict(self.index.fragments))

    @property
    def branches(self) -> tuple[Branch, ...]:
        return tuple(line.branch for line in self.index.lines)

    @property
    def marks(self) -> tuple[Mark, ...]:
        return tuple(self.index.marks)

    @property
    def shape(self) -> tuple[int, int]:
        """Return samples and positions."""
        return self.header.batch, self.header.length

    @property
    def start(self) -> RunStart:
        """Return the canvas before step 0."""
        _, origin = self._steps.origin(self.index.lines[0])
        return RunStart(origin.tokens, origin.change == Change.LOCKED, self.header.steps, self.header.seed)

    def trace(self, branch: int = 0) -> RecordedTrace:
        """Return a branch as the views read it; raises ValueError for an unknown number."""
        if not 0 <= branch < len(self.index.lines):
            raise ValueError(f"{self.name} has branches 0 to {len(self.index.lines) - 1}, not {branch}")
        return RecordedTrace(self, branch)

    # -- what a branch holds

    def length(self, branch: int) -> int:
        """Return the last position of a branch."""
        return len(self.index.lines[branch])

    def at(self, branch: int, position: int) -> Step:
        """Return a position of a branch, in 0 to `length`.

        Raises ValueError where the file is damaged there; the branch ends before that from then on.
        """
        with self.lock:
            line = self.index.owner(branch, position)
            if not line.fork <= position <= len(line):
                raise ValueError(f"{self.name} has no step {position} of branch {branch}")
            try:
                return self._steps.read(line, position)
            except DamagedStepError as error:
                line.cut(error.step)
                self._damaged(f"{self.name} is damaged at step {error.step}: {error}")
                raise ValueError(self.damage) from None

    def frame(self, branch: int, position: int) -> Frame | None:
        """Return the frame that led to a position; None at the start.  Raises ValueError as `at` does."""
        with self.lock:
            line = self.index.lines[branch]
            while position <= line.fork and line.branch.parent is not None:
                line = self.index.lines[line.branch.parent]
            return self.at(line.number, position)[0] if position else None

    def edits(self, branch: int) -> list[int]:
        """Return the positions that a person's edits led to."""
        return [p for line, first, last in self.lineage(branch) for p in line.edits if first < p <= last]

    def clean_ups(self, branch: int) -> list[int]:
        """Return the positions that clean-ups led to, which are no steps of the schedule."""
        return [p for line, first, last in self.lineage(branch) for p in line.clean_ups if first < p <= last]

    def settings(self, branch: int) -> list[tuple[int, Settings]]:
        """Return (step, settings from there on) wherever they differ from those of the step before."""
        with self.lock:
            changed: list[tuple[int, int]] = []
            for line, _, last in self.lineage(branch):
                for step, number in line.changes:
                    if step < last and (not changed or changed[-1][1] != number):
                        changed.append((step, number))
            return [(step, self.index.settings[number]) for step, number in changed]

    def lineage(self, branch: int) -> list[tuple[BranchEntry, int, int]]:
        """Return the lines that a branch consists of, oldest first, with the first and the last position of each."""
        return self.index.lineage(branch)

    def column(self, branch: int, name: str, sample: int) -> NDArray[np.float64]:
        """Return one figure over a branch, float64 [steps]."""
        with self.lock:
            parts = []
            for line, first, last in self.lineage(branch):
                self.settle(line, line.curves_of(name))
                parts.append(line.column(name, sample)[: last - first])
            return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.zeros(0)])

    def settle(self, line: BranchEntry, curves: Curves | None = None) -> None:
        """Compute the figures that the file lacks at a branch's end, or those that `curves` of the branch lack."""
        curves = line.curves if curves is None else curves
        with self.lock:
            while curves.rows < len(line.offsets):
                position = line.fork + curves.rows + 1
                frame, _ = self.at(line.number, position)
                assert frame is not None
                curves.append(frame)
                if curves.rows % TOGETHER == 0:
                    curves.column("masked", 0)


class RecordedTrace:
    """Frames come from the file on demand; where a `Recorder` made it, they can be appended.

    A position p in 0 to len(trace) is the state after p frames.  What is read where the
    file is damaged raises ValueError; the trace is shorter from then on.
    """

    def __init__(self, recording: Recording, branch: int, record: Callable[[int, Frame], None] | None = None) -> None:
        """View one branch.  record: writes the next frame of a branch; None: it is only read."""
        self.recording, self.branch = recording, branch
        self._record = record
        self.start = recording.start
        self.curves = RecordedCurves(recording, branch)

    def __len__(self) -> int:
        return self.recording.length(self.branch)

    def settings(self) -> list[tuple[int, Settings]]:
        """Return (step, settings from there on) wherever they differ from those of the step before."""
        return self.recording.settings(self.branch)

    def append(self, frame: Frame) -> None:
        """Append the next frame.

        Raises ValueError for a frame out of turn or a recording that is only read, OSError for a full disk.
        """
        if self._record is None:
            raise ValueError(f"{self.recording.name} is only being read")
        self._record(self.branch, frame)

    def frame(self, position: int) -> Frame | None:
        """Return the frame that led to a position; None at the start."""
        return self.recording.frame(self.branch, position)

    def tokens(self, position: int, sample: int) -> NDArray[np.int32]:
        return self.recording.at(self.branch, position)[1].tokens[sample]

    def change(self, position: int, sample: int) -> NDArray[np.uint8]:
        return self.recording.at(self.branch, position)[1].change[sample]

    def held(self, position: int, sample: int) -> NDArray[np.float32]:
        return self.recording.at(self.branch, position)[1].held[sample]

    def figures(self, position: int, sample: int) -> Figures | None:
        frame = self.frame(position)
        return None if frame is None else figures(frame, sample)

    def edits(self) -> list[int]:
        """Return the positions that a person's edits led to."""
        return self.recording.edits(self.branch)

    def clean_ups(self) -> list[int]:
        """Return the positions that clean-ups led to, which are no steps of the schedule."""
        return self.recording.clean_ups(self.branch)


class RecordedCurves:
    """Columns over a branch, its parents' steps first; most are in the file."""

    def __init__(self, recording: Recording, branch: int) -> None:
        self._recording, self._branch = recording, branch

    def column(self, name: str, sample: int) -> NDArray[np.float64]:
        """Return one figure over the run so far, [steps], as `engine.sampling.figures.Curves.column`."""
        return self._recording.column(self._branch, name, sample)
