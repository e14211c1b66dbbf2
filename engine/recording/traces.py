"""A branch of a recording, read and written like `engine.sampling.trace.Trace`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.records import Frame, Settings
from engine.sampling.figures import Curves, Figures, figures

if TYPE_CHECKING:
    from engine.recording.recording import Recording


class RecordedTrace:
    """Frames come from the file as they are asked for; where a `Recorder` made it, they can be appended.

    A position p in 0 to len(trace) is the state after p frames.  What is asked for where the
    file is damaged raises ValueError; the trace is shorter from then on.
    """

    def __init__(self, recording: Recording, branch: int, record: Callable[[int, Frame], None] | None = None) -> None:
        """record: writes the next frame of a branch; None: it is only read."""
        self.recording, self.branch = recording, branch
        self._record = record
        self.start = recording.start
        self.curves = RecordedCurves(recording, branch)

    def __len__(self) -> int:
        return self.recording.length(self.branch)

    def settings(self) -> list[tuple[int, Settings]]:
        """(step, settings from there on) wherever they differ from those of the step before."""
        return self.recording.settings(self.branch)

    def append(self, frame: Frame) -> None:
        """Raises ValueError for a frame out of turn or a recording that is only read, OSError for a full disk."""
        if self._record is None:
            raise ValueError(f"{self.recording.name} is only being read")
        self._record(self.branch, frame)

    def frame(self, position: int) -> Frame | None:
        """The frame that led to a position; None at the start."""
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
        """The positions that a person's edits led to."""
        return self.recording.edits(self.branch)


class RecordedCurves:
    """Columns over a branch, its parents' steps first; most stand in the file."""

    COLUMNS = Curves.COLUMNS

    def __init__(self, recording: Recording, branch: int) -> None:
        self._recording, self._branch = recording, branch

    def column(self, name: str, sample: int) -> NDArray[np.float64]:
        """One figure over the run so far, [steps], as `engine.sampling.figures.Curves.column`."""
        return self._recording.column(self._branch, name, sample)
