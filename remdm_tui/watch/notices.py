"""What is said to the person in a line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """A line for the person; empty for none."""

    text: str = ""
    error: bool = False
    passing: bool = False
    """whether it goes when the run goes on"""


@dataclass(frozen=True)
class Progress:
    """Something long on its way, in bytes or in steps; `total` is 0 where unknown."""

    stage: str
    done: int = 0
    total: int = 0
    steps: bool = False
