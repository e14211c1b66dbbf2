"""The runs of a session that another run has replaced: what each was, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.recording import Mark, Recorder, Recording
from engine.records import Branch

MOST_SPOOLS = 20
"""Runs in temporary files at most; runs in files of their own are not counted."""
MOST_BYTES = 1 << 30
"""Bytes of those temporary files together at most; the newest is kept whatever its size."""


@dataclass(frozen=True)
class RunSummary:
    """One run in figures: those of its last branch, remasks and entropy as the mean of the batch."""

    number: int
    """1 for the first run of the session"""
    model: str
    strategy: str
    """the strategies of the branch in the order of their use, a comma between them"""
    seed: int
    steps: int
    branches: int = 1
    remasks: float = 0.0
    calls: int = 0
    entropy: float = float("nan")
    by_hand: str = ""
    """what a person made in it, as `work_in` returns it"""


def last_branch(recording: Recording) -> int:
    """Return the newest branch with a step; 0 if no branch has one."""
    return max((branch.id for branch in recording.branches if recording.length(branch.id)), default=0)


class Branches(Protocol):
    """The branches of a run, with what a person did in them."""

    @property
    def branches(self) -> tuple[Branch, ...]: ...
    @property
    def marks(self) -> tuple[Mark, ...]: ...
    def edits(self, branch: int) -> list[int]: ...


def work_in(run: Branches) -> str:
    """Return what a person made in a run and cannot have again by its options: "2 edits, 1 bookmark"; or "".

    A branch from step 0, as comparing makes it, is what its strategy and seed say: it does not count.
    """
    edits = sum(step > branch.at for branch in run.branches for step in run.edits(branch.id))
    branches, marks = sum(branch.at > 0 for branch in run.branches), len(run.marks)
    kinds = ((edits, "edit", "edits"), (branches, "branch", "branches"), (marks, "bookmark", "bookmarks"))
    return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in kinds if count)


def summarize(number: int, recording: Recording, branch: int | None = None) -> RunSummary:
    """Return the summary of a run; branch: that on screen, default the last one."""
    trace, header = recording.trace(last_branch(recording) if branch is None else branch), recording.header
    summary = RunSummary(number, header.model.name, "", header.seed, len(trace), len(recording.branches))
    if not len(trace):
        return summary
    samples = range(header.batch)
    names = list(dict.fromkeys(settings.strategy for _, settings in trace.settings()))
    return RunSummary(
        number, header.model.name, ",".join(names), header.seed, len(trace), len(recording.branches),
        remasks=float(np.mean([trace.curves.column("remasked", sample).sum() for sample in samples])),
        calls=int(trace.curves.column("calls", 0)[-1]),
        entropy=float(np.mean([trace.curves.column("entropy", sample)[-1] for sample in samples])),
        by_hand=work_in(recording),
    )  # fmt: skip


class LeftRun:
    """A run that ended on screen; its recorder stays open while the run is in a temporary file, or in memory."""

    def __init__(self, summary: RunSummary, recorder: Recorder, path: str = "") -> None:
        """path: the run's own file, whose recorder is closed; empty for a temporary one."""
        self.summary, self.path, self._recorder = summary, path, recorder

    @property
    def bytes(self) -> int:
        """Bytes of the temporary file; 0 for a run in a file of its own."""
        return 0 if self.path else self._recorder.recording.end

    def open(self) -> Recording:
        """Return the run to be read, and closed by the caller.  Raises OSError or ValueError if its file is gone."""
        return Recording.open(self.path) if self.path else self._recorder.recording.copy()

    def keep(self, path: Path) -> None:
        """Move the run to a new file.  Raises ValueError or OSError."""
        if self.path:
            raise ValueError(f"Run {self.summary.number} is in {self.path} already: copy that file")
        self._recorder.keep(path)
        self._recorder.close()
        self.path = str(path)

    def close(self) -> None:
        """Close the run; one in a temporary file is deleted."""
        if not self.path:
            self._recorder.recording.close()


class LeftRuns:
    """The runs that were left, the oldest first.  Only temporary files have a bound; the oldest makes way, but one that
    a person has worked in last.
    """

    def __init__(self, most: int = MOST_SPOOLS, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._runs: list[LeftRun] = []

    @property
    def listed(self) -> tuple[LeftRun, ...]:
        """All runs that can be opened, the oldest first."""
        return tuple(self._runs)

    def add(self, run: LeftRun) -> list[int]:
        """Add the run that was left last; return the numbers of those that made way."""
        self._runs.append(run)
        dropped: list[int] = []
        while True:
            spools = [one for one in self._runs if not one.path]
            fits = len(spools) <= self._most and sum(one.bytes for one in spools) <= self._most_bytes
            if fits or len(spools) < 2:
                return dropped
            # what a person made goes last, and the newest run stays
            oldest = next((one for one in spools[:-1] if not one.summary.by_hand), spools[0])
            dropped.append(oldest.summary.number)
            self.remove(oldest)

    def remove(self, run: LeftRun) -> None:
        """Take a run out of the list; one in a temporary file is deleted, a file of its own stays."""
        self._runs.remove(run)
        run.close()

    def close(self) -> None:
        """Close all runs."""
        while self._runs:
            self._runs.pop().close()
