"""Where a watch session is between starting an engine and losing it: one phase at a time.  Pure.

docs/architecture.md shows the ways from one to another.
"""

from __future__ import annotations

from dataclasses import dataclass

from remdm_tui.watch.notices import Progress


@dataclass(frozen=True)
class Starting:
    """An engine process is starting, or one that has its model was told to begin a new run."""

    progress: Progress | None = None
    loaded: bool = False
    """whether the engine has a model, so that `Began` comes next"""


@dataclass(frozen=True)
class Loading:
    """The engine loads a model; the record on screen stays."""

    progress: Progress
    continues: bool = False
    """whether the record on screen is continued afterwards, rather than a new run begun"""
    answers: int = 1
    """how many models the engine was told to load and has not answered for: only the last answer counts"""


@dataclass(frozen=True)
class Recomputing:
    """The engine computes the recorded steps again, so that it can continue after them."""

    progress: Progress


@dataclass(frozen=True)
class Live:
    """The engine stands where the record ends."""


@dataclass(frozen=True)
class Lost:
    """The connection to an engine elsewhere is gone; the next try comes in `wait` seconds."""

    reason: str
    wait: float


@dataclass(frozen=True)
class Dead:
    """There is no engine process; what is recorded stays."""

    reason: str
    final: bool = False
    """whether there is nothing on screen either, nor anything to wait for: the application ends"""


@dataclass(frozen=True)
class Failed:
    """The engine process is there, but could not load the model, begin the run, or continue the record."""

    reason: str
    loaded: bool = False
    """whether the engine still has the model of the record on screen"""
    final: bool = False
    """as in `Dead`"""


Phase = Starting | Loading | Recomputing | Live | Lost | Dead | Failed


def recomputing(done: int, total: int) -> Recomputing:
    """Return the phase of having computed `done` of `total` recorded steps again."""
    return Recomputing(Progress("computing the recorded steps again", done, total, steps=True))
