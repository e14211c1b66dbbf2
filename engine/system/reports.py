"""How often progress is reported."""

from __future__ import annotations

from collections.abc import Callable

INTERVAL = 0.1
"""Seconds between two reports of one stage at least."""


class ReportTimer:
    """A new stage is reported at once, further progress in it ten times a second."""

    def __init__(self, clock: Callable[[], float], stage: str = "") -> None:
        self._clock, self._stage, self._last = clock, stage, clock()

    def due(self, stage: str = "") -> bool:
        """Return whether to report now."""
        now = self._clock()
        if stage == self._stage and now - self._last < INTERVAL:
            return False
        self._stage, self._last = stage, now
        return True
