"""The recording of the run on screen: a spool while it runs, a file when somebody wants to keep it."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from engine.debug.branches import forked
from engine.recording import Header, Mark, Recorder, Recording
from engine.records import Branch, ModelChoice, ModelInfo, RunChoice
from engine.sampling.trace import Record, Start, Trace

SUFFIX = ".remdm"


class RunRecording:
    """All branches of one run after another; `make` alone is called by another thread.

    Where nothing can be written the run is kept in memory, and `problem` says why.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        recording: Recording | None = None,
        resume: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """path: where the first run is recorded; recording: what is replayed instead; resume: go on with it."""
        self._path, self._clock, self._runs = path, clock, 0
        self.resume = resume
        self.problem = ""
        self.name = "" if recording is None else recording.name
        """the file that is written or replayed; empty for a spool"""
        self._expected: tuple[ModelChoice, ModelInfo, RunChoice, dict[str, str]] | None = None
        self._recorder: Recorder | None = None
        self._recording = recording
        self._old: list[Recorder] = []
        self._memory: dict[int, Record] = {}
        self._family = [Branch(0)]
        self._marks: list[Mark] = []
        """those that no file takes"""

    # -- a run begins

    def expect(self, choice: ModelChoice, model: ModelInfo, run: RunChoice, versions: dict[str, str]) -> None:
        """What the next run is made with, for its header."""
        self._expected = choice, model, run, versions

    def make(self, start: Start) -> Record:
        """The record of a new run's first branch."""
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
            self.problem = f"the run is not recorded: {describe_error(error)}"
            self._memory, self._family = {0: Trace(start)}, [Branch(0)]
            return self._memory[0]
        self._recording = self._recorder.recording
        return self._recorder.trace(0)

    def go_on(self, path: Path, model: ModelInfo) -> None:
        """Write further into what is replayed, with the words of a model.

        Raises ValueError for a file that cannot be gone on with or was made with another model, OSError for none.
        """
        assert self._recording is not None
        was = self._recording.header.model
        if (was.vocab_size, was.mask_id) != (model.vocab_size, model.mask_id):
            raise ValueError(
                f"{path} was recorded with {was.name}, whose {was.vocab_size} tokens are not the {model.vocab_size} "
                f"of {model.name}: choose the model that it was made with"
            )
        if was.differs(model):
            raise ValueError(
                f"{path} was recorded with another {was.name}: the weights or the tokenizer of {model.name} are not "
                "those of the recording: choose the model that it was made with, or start a new run with `watch`"
            )
        self._recorder, self.resume = Recorder.resume(path, model.pieces, model.fragments), False
        self._recording = self._recorder.recording

    def tidy(self) -> None:
        """Let go of the runs before the one on screen."""
        while self._old:
            self._old.pop().close()

    def close(self) -> None:
        """See everything to the disk.  Raises OSError where it is full."""
        self.tidy()
        if self._recorder is not None:
            self._recorder.close()

    # -- keeping it

    def keep(self, path: Path) -> str:
        """Keep the run in a file, and say so.  Raises ValueError or OSError where that is not possible."""
        if path.suffix == "":
            path = path.with_suffix(SUFFIX)
        if self._recorder is None:
            raise ValueError(self.problem or "this is a recording already: copy its file")
        try:
            self._recorder.keep(path)
        except FileExistsError:
            raise ValueError(f"{path} is there already: choose another name") from None
        self.name = str(path)
        return f"recorded in {path}, and what follows too"

    def _next_path(self) -> Path | None:
        """The path given, for later runs numbered."""
        path = self._path
        if path is None or self._runs == 1:
            return path
        return path.with_name(f"{path.stem}-{self._runs}{path.suffix}")

    @property
    def damage(self) -> str:
        """What is wrong with the file besides a torn end; empty for nothing."""
        recording = self._recording
        return recording.damage if recording is not None and recording.damaged else ""

    # -- its branches

    @property
    def writable(self) -> bool:
        """Whether branches can be added."""
        return self._recorder is not None or bool(self._memory)

    @property
    def branches(self) -> tuple[Branch, ...]:
        return tuple(self._family) if self._recording is None else self._recording.branches

    def record(self, branch: int) -> Record:
        """What is recorded of a branch.  Raises ValueError where there is none."""
        if self._recorder is not None:
            return self._recorder.trace(branch)
        if self._recording is not None:
            return self._recording.trace(branch)
        if branch not in self._memory:
            raise ValueError(f"there is no record of a branch {branch}")
        return self._memory[branch]

    def fork(self, parent: int, at: int) -> tuple[Branch, Record]:
        """A branch that shares the first `at` steps of another.  Raises ValueError or OSError where it cannot be."""
        if self._recorder is not None:
            number = self._recorder.branch(parent, at)
            return Branch(number, parent, at), self._recorder.trace(number)
        branch = Branch(len(self._family), parent, at)
        record = forked(self.record(parent), at)
        self._family.append(branch)
        self._memory[branch.id] = record
        return branch, record

    def mark(self, branch: int, position: int) -> bool:
        """Whether the mark is in the recording, and not for this session alone.

        Raises ValueError for a position that is not recorded, OSError for a full disk.
        """
        if self._recorder is None:
            self._marks.append(Mark(branch, position))
            return False
        self._recorder.mark(branch, position)
        return True

    @property
    def marks(self) -> tuple[Mark, ...]:
        return (*(() if self._recording is None else self._recording.marks), *self._marks)

    @property
    def recording(self) -> Recording:
        """What is recorded.  Raises ValueError where that is in memory alone."""
        if self._recording is None:
            raise ValueError(self.problem or "nothing is recorded yet")
        return self._recording


def describe_error(error: OSError | ValueError) -> str:
    """What went wrong with a file, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
