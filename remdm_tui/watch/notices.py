"""The line that a session shows to the person, and progress."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """One line on screen; empty for none."""

    text: str = ""
    error: bool = False
    passing: bool = False
    """whether it disappears when the run continues"""


@dataclass(frozen=True)
class Progress:
    """The progress of a long operation, in bytes or in steps; `total` is 0 if unknown."""

    stage: str
    done: int = 0
    total: int = 0
    steps: bool = False
