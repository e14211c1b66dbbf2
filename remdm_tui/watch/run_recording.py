"""The recording of the run on screen: a spool file, or a file that the person keeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from engine.debug.branches import fork_record
from engine.recording import Header, Mark, Recorder, Recording
from engine.records import Branch, ModelChoice, ModelInfo, RunChoice
from engine.sampling.trace import Record, RunStart, Trace

SUFFIX = ".remdm"


class RunRecording:
    """The branches of one run after another; another thread calls `make`.

    If nothing can be written the run is kept in memory, and `problem` holds the reason.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        recording: Recording | None = None,
        resume: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """path: file of the first run; recording: what is replayed instead; resume: whether to continue that."""
        self._path, self._clock, self._runs = path, clock, 0
        self.resume = resume
        self.problem = ""
        self.name = "" if recording is None else recording.name
        """path of the file that is written or replayed; empty for a spool"""
        self._expected: tuple[ModelChoice, ModelInfo, RunChoice, dict[str, str]] | None = None
        self._recorder: Recorder | None = None
        self._recording = recording
        self._old: list[Recorder] = []
        self._memory: dict[int, Record] = {}
        self._branches = [Branch(0)]
        self._marks: list[Mark] = []
        """marks that no file can hold"""

    # -- beginning a run

    def expect(self, choice: ModelChoice, model: ModelInfo, run: RunChoice, versions: dict[str, str]) -> None:
        """Use these for the header of the next run."""
        self._expected = choice, model, run, versions

    def make(self, start: RunStart) -> Record:
        """Return the record of a new run's first branch."""
        assert self._expected is not None
        choice, model, run, versions = self._expected
        batch, length = start.tokens.shape
        header = Header(
            model, choice, run, start.steps, start.seed, batch, length, version("remdm-tui"), self._clock(), versions
        )
        if self._recorder is not None:
            self._old.append(self._recorder)
        self._runs += 1
        self._marks = []
        self._recorder, self._recording, self.problem = None, None, ""
        path = self._next_path()
        self.name = "" if path is None else str(path)
        try:
            self._recorder = Recorder.spool(header, start) if path is None else Recorder.create(path, header, start)
        except (OSError, ValueError) as error:
            self.problem = f"Not recording this run: {describe_error(error)}"
            self._memory, self._branches = {0: Trace(start)}, [Branch(0)]
            return self._memory[0]
        self._recording = self._recorder.recording
        return self._recorder.trace(0)

    def append_to(self, path: Path, model: ModelInfo) -> None:
        """Append to the replayed file, with the vocabulary of a model.

        Raises ValueError for a file that cannot be continued or has another model, OSError for an unreadable one.
        """
        assert self._recording is not None
        recorded = self._recording.header.model
        if (recorded.vocab_size, recorded.mask_id) != (model.vocab_size, model.mask_id):
            raise ValueError(
                f"{path} was recorded with {recorded.name} ({recorded.vocab_size} tokens), not with {model.name} "
                f"({model.vocab_size} tokens): choose the model of the recording"
            )
        if recorded.differs(model):
            raise ValueError(
                f"{path} was recorded with another {recorded.name}: weights or tokenizer of {model.name} differ. "
                "Choose the model of the recording, or start a new run with `watch`"
            )
        self._recorder, self.resume = Recorder.resume(path, model.pieces, model.fragments), False
        self._recording = self._recorder.recording

    def tidy(self) -> None:
        """Close the recordings of earlier runs."""
        while self._old:
            self._old.pop().close()

    def close(self) -> None:
        """Write everything to disk.  Raises OSError if it is full."""
        self.tidy()
        if self._recorder is not None:
            self._recorder.close()

    # -- keeping the recording

    def keep(self, path: Path) -> str:
        """Save the run, and all that follows, in a file; return the line to show.  Raises ValueError or OSError."""
        if path.suffix == "":
            path = path.with_suffix(SUFFIX)
        if self._recorder is None:
            raise ValueError(self.problem or "This is a recording already: copy its file")
        try:
            self._recorder.keep(path)
        except FileExistsError:
            raise ValueError(f"{path} exists: choose another name") from None
        self.name = str(path)
        return f"Recording to {path}"

    def _next_path(self) -> Path | None:
        """Return the given path; later runs get a number."""
        path = self._path
        if path is None or self._runs == 1:
            return path
        return path.with_name(f"{path.stem}-{self._runs}{path.suffix}")

    @property
    def damage(self) -> str:
        """What is wrong with the file, apart from an incomplete last frame; empty if nothing."""
        recording = self._recording
        return recording.damage if recording is not None and recording.damaged else ""

    # -- branches

    @property
    def writable(self) -> bool:
        """Whether branches can be added."""
        return self._recorder is not None or bool(self._memory)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """All branches of the run."""
        return tuple(self._branches) if self._recording is None else self._recording.branches

    def record(self, branch: int) -> Record:
        """Return the record of a branch.  Raises ValueError for an unknown branch."""
        if self._recorder is not None:
            return self._recorder.trace(branch)
        if self._recording is not None:
            return self._recording.trace(branch)
        if branch not in self._memory:
            raise ValueError(f"branch {branch} has no record")
        return self._memory[branch]

    def fork(self, parent: int, at: int) -> tuple[Branch, Record]:
        """Return a new branch that shares the first `at` steps of another.  Raises ValueError or OSError."""
        if self._recorder is not None:
            number = self._recorder.branch(parent, at)
            return Branch(number, parent, at), self._recorder.trace(number)
        branch = Branch(len(self._branches), parent, at)
        record = fork_record(self.record(parent), at)
        self._branches.append(branch)
        self._memory[branch.id] = record
        return branch, record

    def mark(self, branch: int, position: int) -> bool:
        """Mark a position; return whether the file holds the mark, rather than this session only.

        Raises ValueError for a position that is not recorded, OSError if the disk is full.
        """
        if self._recorder is None:
            self._marks.append(Mark(branch, position))
            return False
        self._recorder.mark(branch, position)
        return True

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All marks, those in the file first."""
        return (*(() if self._recording is None else self._recording.marks), *self._marks)

    @property
    def recording(self) -> Recording:
        """The recording on disk.  Raises ValueError if the run is kept in memory."""
        if self._recording is None:
            raise ValueError(self.problem or "Nothing is recorded yet")
        return self._recording


def describe_error(error: OSError | ValueError) -> str:
    """Return the error of a file operation in few words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
