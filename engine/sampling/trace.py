"""The record of one run: its start, every frame in order, and the figures along it; here in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.records import Change, Frame, Settings
from engine.sampling.figures import Curves, Figures, figures


@dataclass(frozen=True, eq=False)
class RunStart:
    """The canvas before step 0: tokens int32 [B, L] and which positions are the prompt's."""

    tokens: NDArray[np.int32]
    locked: NDArray[np.bool_]
    steps: int
    seed: int


class FigureColumns(Protocol):
    """Figures over a run."""

    def column(self, name: str, sample: int) -> NDArray[np.float64]:
        """Return one figure over the run so far, float64 [steps]."""
        ...


class Record(Protocol):
    """What views read and a link appends to: a `Trace`, or a branch of a recording (`engine.recording`)."""

    @property
    def start(self) -> RunStart: ...
    @property
    def curves(self) -> FigureColumns: ...
    def __len__(self) -> int: ...
    def settings(self) -> list[tuple[int, Settings]]: ...
    def edits(self) -> list[int]: ...
    def clean_ups(self) -> list[int]: ...
    def append(self, frame: Frame) -> None: ...
    def frame(self, position: int) -> Frame | None: ...
    def tokens(self, position: int, sample: int) -> NDArray[np.int32]: ...
    def change(self, position: int, sample: int) -> NDArray[np.uint8]: ...
    def held(self, position: int, sample: int) -> NDArray[np.float32]: ...
    def figures(self, position: int, sample: int) -> Figures | None: ...


class Trace:
    """Appended by the thread that reads the engine, read by the one that draws.

    A position p in 0 to len(trace) is the state after p steps; 0 is the start.
    """

    def __init__(self, start: RunStart) -> None:
        self.start = start
        self._frames: list[Frame] = []
        self._clean_ups: list[int] = []
        self._settings: list[tuple[int, Settings]] = []
        self.curves = Curves(start.tokens.shape[0])

    def __len__(self) -> int:
        return len(self._frames)

    def settings(self) -> list[tuple[int, Settings]]:
        """Return (step, settings from there on) wherever they differ from those of the step before."""
        return list(self._settings)

    def edits(self) -> list[int]:
        """Return the positions that a person's edits led to."""
        return [i + 1 for i, frame in enumerate(self._frames) if frame.edit is not None]

    def clean_ups(self) -> list[int]:
        """Return the positions that clean-ups led to, which are no steps of the schedule."""
        return list(self._clean_ups)

    def append(self, frame: Frame) -> None:
        """Append the next frame.  Raises ValueError if its index or shape is wrong."""
        if frame.index != len(self._frames):
            raise ValueError(f"frame {frame.index} cannot follow {len(self._frames)} recorded ones")
        if frame.tokens.shape != self.start.tokens.shape:
            raise ValueError(f"frame {frame.index} has another shape than the run's {self.start.tokens.shape}")
        self.curves.append(frame)
        if not self._settings or self._settings[-1][1] != frame.settings:
            self._settings.append((frame.index, frame.settings))
        if frame.final:
            self._clean_ups.append(frame.index + 1)
        self._frames.append(frame)

    def frame(self, position: int) -> Frame | None:
        """Return the frame that led to a position; None at the start."""
        return self._frames[position - 1] if position else None

    def tokens(self, position: int, sample: int) -> NDArray[np.int32]:
        frame = self.frame(position)
        return (self.start if frame is None else frame).tokens[sample]

    def change(self, position: int, sample: int) -> NDArray[np.uint8]:
        frame = self.frame(position)
        if frame is not None:
            return frame.change[sample]
        return np.where(self.start.locked[sample], Change.LOCKED, Change.MASKED).astype(np.uint8)

    def held(self, position: int, sample: int) -> NDArray[np.float32]:
        frame = self.frame(position)
        if frame is not None:
            return frame.held[sample]
        return np.where(self.start.locked[sample], 1, np.nan).astype(np.float32)

    def figures(self, position: int, sample: int) -> Figures | None:
        frame = self.frame(position)
        return None if frame is None else figures(frame, sample)
