"""Read the losses that a training run logs, while it goes on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.files.jsonl import DAMAGED
from engine.files.regular import regular_file
from engine.files.run_layout import LOG

CHUNK = 1 << 20
"""Bytes that are read at once; a longer log is read over several calls."""
MOST = 1024
"""Points of the curve at most; when there are more, neighbours are averaged."""


class _Line(msgspec.Struct):
    step: int
    loss: float
    steps: int = 0


@dataclass(frozen=True, eq=False)
class Losses:
    """The training run as its log has it."""

    step: int
    steps: int
    """of the whole training run; 0 if the log does not say"""
    loss: float
    """of the last step"""
    at: NDArray[np.float64]
    """steps, ascending, [points]"""
    values: NDArray[np.float64]
    """mean losses from the point before, [points]"""


class TrainingLog:
    """`poll` reads what was appended; a log that was replaced, as a resumed run does, is read again."""

    def __init__(self, run: Path) -> None:
        self._path = run / LOG
        self.losses: Losses | None = None
        """None until a step is logged"""
        self._reset(None)

    def _reset(self, file: tuple[int, int] | None) -> None:
        self._file, self._end, self._each = file, 0, 1
        self._points: list[tuple[float, float]] = []
        self._pending: list[float] = []

    def poll(self) -> bool:
        """Read up to CHUNK bytes of new lines; return whether there were any."""
        with suppress(OSError, ValueError):
            status = regular_file(self._path).stat()
            file = (status.st_dev, status.st_ino)
            if file != self._file or status.st_size < self._end:
                self._reset(file)
            if status.st_size > self._end:
                with self._path.open("rb") as log:
                    log.seek(self._end)
                    return self._take(log.read(CHUNK))
        return False

    def _take(self, data: bytes) -> bool:
        """Take in whole lines; what follows the last is read again with the next."""
        whole = data[: data.rfind(b"\n") + 1]
        self._end += len(whole)
        last: _Line | None = None
        for line in whole.splitlines():
            with suppress(*DAMAGED):
                last = msgspec.json.decode(line, type=_Line)
                self._add(last.step, last.loss)
        if last is None:
            return False
        points = [*self._points, *([(last.step, float(np.mean(self._pending)))] if self._pending else [])]
        at, values = np.array(points, np.float64).reshape(-1, 2).T
        self.losses = Losses(last.step, last.steps, last.loss, at, values)
        return True

    def _add(self, step: int, loss: float) -> None:
        self._pending.append(loss)
        if len(self._pending) < self._each:
            return
        self._points.append((step, float(np.mean(self._pending))))
        self._pending = []
        if len(self._points) == MOST:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [(later, (a + b) / 2) for (_, a), (later, b) in pairs]
            self._each *= 2
