"""How a lost engine is tried for again: later each time, until the tries are used up without a step between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each try to reach a lost engine again."""


@dataclass(frozen=True)
class Lost:
    """The connection is gone; the next try comes in `wait` seconds."""

    reason: str
    wait: float


class Retries:
    """`lost` stands while a try is waited for."""

    def __init__(self) -> None:
        self.lost: Lost | None = None
        self._tried, self._tried_at = 0, -1
        """tries since a step was last recorded, and how many were recorded then"""

    def afresh(self) -> None:
        """Somebody has asked for a try: all are there again."""
        self._tried = 0

    def lose(self, reason: str, recorded: int) -> bool:
        """Whether another try will be made."""
        self._tried = 1 if recorded > self._tried_at else self._tried + 1
        self._tried_at = recorded
        if self._tried > len(WAITS):
            self._tried = 0
            return False
        self.lost = Lost(reason, WAITS[self._tried - 1])
        return True

    def due(self, seconds: float) -> bool:
        """Time has passed: whether to try now."""
        if self.lost is None:
            return False
        self.lost = replace(self.lost, wait=self.lost.wait - seconds)
        return self.lost.wait <= 0

    @property
    def said(self) -> str:
        assert self.lost is not None
        return (
            f"the connection is lost ({self.lost.reason}): what is recorded stays; "
            f"try {self._tried} of {len(WAITS)} in {math.ceil(self.lost.wait)} s, R tries now"
        )
