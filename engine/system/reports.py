"""Limit how often progress is reported."""

from __future__ import annotations

from collections.abc import Callable

INTERVAL = 0.1
"""The least number of seconds between two reports of one stage."""


class ReportTimer:
    """Reports are due at once for a new stage, then ten times a second."""

    def __init__(self, clock: Callable[[], float], stage: str = "") -> None:
        self._clock, self._stage, self._last = clock, stage, clock()

    def due(self, stage: str = "") -> bool:
        """Return whether a report of `stage` is due."""
        now = self._clock()
        if stage == self._stage and now - self._last < INTERVAL:
            return False
        self._stage, self._last = stage, now
        return True
