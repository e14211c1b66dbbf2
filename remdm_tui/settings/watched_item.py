"""An item of an evaluation on tasks that is watched, and how its answer is read off the canvas."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WatchedItem:
    """One item that is drawn again."""

    home: Path
    """directory of the evaluation"""
    key: str
    name: str
    """task and document"""
    tokens: int
    """of the prompt, behind which the answer begins"""
    ends: tuple[int, ...]
    """tokens that end an answer"""
    special: bool = False
    """whether special tokens are read out of the prompt"""
    trusted: bool = False
    """whether code that the task names may run"""
    runs_code: bool = False
    """whether the task may run what the model writes"""
