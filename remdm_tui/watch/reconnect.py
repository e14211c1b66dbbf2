"""When to try a lost engine again: with longer waits, until all tries failed without a new step.  Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from remdm_tui.watch.key_names import key
from remdm_tui.watch.phase import Lost

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each try."""


@dataclass(frozen=True)
class Retries:
    """Tries since a step was last recorded, and how many steps were recorded then."""

    tried: int = 0
    tried_at: int = -1


def next_try(retries: Retries, reason: str, recorded: int) -> tuple[Retries, Lost | None]:
    """Return the tries after losing the engine once more, and the next try; None if none is left."""
    tried = 1 if recorded > retries.tried_at else retries.tried + 1
    if tried > len(WAITS):
        return Retries(0, recorded), None
    return Retries(tried, recorded), Lost(reason, WAITS[tried - 1])


def describe_retry(retries: Retries, lost: Lost) -> str:
    """Return the line that shows which try comes when."""
    return (
        f"Connection lost ({lost.reason}). The record stays. "
        f"Try {retries.tried} of {len(WAITS)} in {math.ceil(lost.wait)} s ({key('revive')}: now)"
    )
