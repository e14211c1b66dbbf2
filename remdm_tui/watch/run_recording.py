"""The recordings of a session: the run on screen in a spool or a file that the person keeps, and the runs before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from engine.debug.branches import fork_record
from engine.recording import Header, Mark, Recorder, Recording
from engine.records import Branch, ModelChoice, ModelInfo, RunChoice
from engine.sampling.trace import Record, RunStart, Trace
from remdm_tui.watch.left_runs import LeftRun, LeftRuns, RunSummary, summarize, work_in

SUFFIX = ".remdm"


class RunRecording:
    """The branches of one run after another; another thread calls `make`.

    A run without a file of its own is in a temporary file; where none can be written, in a file in memory; where
    the system has none, in plain memory, which the next run replaces.  `problem` says why a run is not in its file.
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
        self._old: list[tuple[int, str, Recorder]] = []
        """number, file and recorder of runs that are left but may still be on screen"""
        self.left = LeftRuns()
        self.files: list[str] = []
        """every file that the session has written, in order"""
        self.unrecorded: dict[int, str] = {}
        """why a run has no file although one was wanted, by its number"""
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
            self._old.append((self._runs, self.name, self._recorder))
        self._runs += 1
        self._marks = []
        self._recorder, self._recording, self.problem = None, None, ""
        self._memory, self._branches = {}, [Branch(0)]
        recorder = self._make_recorder(header, start)
        if recorder is None:
            self._memory = {0: Trace(start)}
            return self._memory[0]
        self._recorder, self._recording = recorder, recorder.recording
        return recorder.trace(0)

    def _make_recorder(self, header: Header, start: RunStart) -> Recorder | None:
        """Return a recorder of a new run in the first place that can be written; None if there is none."""
        path = self._next_path()
        self.name = ""
        if path is not None:
            try:
                recorder = Recorder.create(path, header, start)
            except (OSError, ValueError) as error:
                self._not_recorded(error)
                self.unrecorded[self._runs] = describe_error(error)
            else:
                self.name = str(path)
                self.files.append(self.name)
                return recorder
        for make in (Recorder.spool, Recorder.in_memory):
            try:
                return make(header, start)
            except (OSError, ValueError) as error:
                self._not_recorded(error)
        return None

    def _not_recorded(self, error: OSError | ValueError) -> None:
        """Keep the first reason why the run is in no file."""
        self.problem = self.problem or f"Not recording this run: {describe_error(error)}"

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
        self.files.append(str(path))

    def tidy(self) -> str:
        """Move runs that are no longer on screen to those left; return the sentence to show, or "".

        A run without a step is dropped.
        """
        sentence = ""
        while self._old:
            number, path, recorder = self._old.pop(0)
            try:
                summary = summarize(number, recorder.recording)
            except ValueError:
                # the file was damaged while the run was on screen; it opens up to there
                summary = None
            if summary is None or not summary.steps:
                recorder.close()
                continue
            where = f"is in {path}" if path else "is kept"
            if path:
                try:
                    recorder.close()
                except OSError as error:
                    # its steps were written as they came
                    where += f" ({describe_error(error)})"
            dropped = self.left.add(LeftRun(summary, recorder, path))
            sentence = f"Run {number} {where}"
            if dropped:
                sentence += f"; run {', '.join(map(str, dropped))} was dropped to make room"
        return sentence + (f". Recording to {self.name}" if sentence and self.name else "")

    def summary(self, branch: int) -> RunSummary | None:
        """Return the summary of the run on screen; None if no file has it."""
        return None if self._recording is None else summarize(max(1, self._runs), self._recording, branch)

    @property
    def replaceable(self) -> bool:
        """Whether the run on screen can be opened again after another has begun."""
        return not any(map(len, self._memory.values()))

    def unsaved(self) -> list[str]:
        """Return the runs that are lost with the session although a person made something in them, in words.

        Under `--record` a run whose file could not be written is one of them.
        """
        found = {run.summary.number: run.summary.by_hand for run in self.left.listed if not run.path}
        if not self.name and (self._recorder is not None or self._memory):
            found[self._runs] = work_in(self)
        wanted = {number: "not recorded" for number, work in found.items() if number in self.unrecorded and not work}
        return [f"run {number} ({work})" for number, work in (found | wanted).items() if work]

    def edits(self, branch: int) -> list[int]:
        """Return the positions of a branch that a person's edits led to."""
        return self.record(branch).edits()

    def close(self) -> None:
        """Write everything to disk.  Raises OSError if it is full."""
        self.tidy()
        self.left.close()
        if self._recorder is not None:
            self._recorder.close()

    # -- keeping the recording

    def keep(self, path: Path) -> str:
        """Save the run, and all that follows, in a file; return the line to show.  Raises ValueError or OSError."""
        if self._recorder is None:
            raise ValueError(self.problem or "This is a recording already: copy its file")
        path = self._keep(path, self._recorder.keep)
        self.name = str(path)
        self.unrecorded.pop(self._runs, None)
        return f"Recording to {path}"

    def keep_left(self, run: LeftRun, path: Path) -> str:
        """Save a run that was left in a file; return the line to show.  Raises ValueError or OSError."""
        kept = self._keep(path, run.keep)
        self.unrecorded.pop(run.summary.number, None)
        return f"Run {run.summary.number} is in {kept}"

    def _keep(self, path: Path, keep: Callable[[Path], None]) -> Path:
        """Save a run in a file whose name gets the suffix of recordings if it has none; return its path."""
        if path.suffix == "":
            path = path.with_suffix(SUFFIX)
        try:
            keep(path)
        except FileExistsError:
            raise ValueError(f"{path} exists: choose another name") from None
        self.files.append(str(path))
        return path

    def _next_path(self) -> Path | None:
        """Return the given path; later runs get the next number whose file does not exist."""
        path, number = self._path, self._runs
        if path is None or number == 1:
            return path
        while (later := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
            number += 1
        return later

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
