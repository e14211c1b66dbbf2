"""Record the time that a process spends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.evaluation.shards import Spent
from engine.files.jsonl import Appended

REPORTS = 5.0
"""Seconds between two records of the time spent."""


class Stopwatch:
    """Records the time spent every few seconds, so that a killed process has recorded nearly all of it."""

    def __init__(self, path: Path, spent: Callable[[int, float, float], Spent], clock: Callable[[], float]) -> None:
        """spent: makes a record of samples, seconds of sampling and seconds of scoring."""
        self._file, self._spent, self._clock = Appended[Spent](path), spent, clock
        self._mark = self._recorded = clock()
        self._samples, self._seconds, self._is_scoring = 0, {"sampling": 0.0, "scoring": 0.0}, False

    def begin(self) -> None:
        """Leave out the time since the last call."""
        self._mark = self._clock()

    def sampled(self) -> None:
        """Count a sample."""
        self._samples += 1
        self.worked()

    def scoring(self) -> None:
        """Begin scoring; the time since the last sample was spent waiting."""
        self._mark, self._is_scoring = self._clock(), True

    def worked(self) -> None:
        """Add the time since the last call."""
        now = self._clock()
        self._seconds["scoring" if self._is_scoring else "sampling"] += now - self._mark
        self._mark = now
        if now - self._recorded > REPORTS:
            self._record()

    def close(self) -> None:
        """Record what is left, and close the file."""
        self._record()
        self._file.close()

    def _record(self) -> None:
        self._recorded = self._clock()
        self._file.add([self._spent(self._samples, self._seconds["sampling"], self._seconds["scoring"])])
