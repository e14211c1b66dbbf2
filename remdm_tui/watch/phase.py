"""The phases of a watch session, from starting an engine to losing it.  Pure.

docs/architecture.md shows the transitions.
"""

from __future__ import annotations

from dataclasses import dataclass

from remdm_tui.watch.notices import Progress


@dataclass(frozen=True)
class Starting:
    """An engine process is starting, or one with a model begins a new run."""

    progress: Progress | None = None
    loaded: bool = False
    """whether the engine has a model, so that `Began` comes next"""


@dataclass(frozen=True)
class LoadingModel:
    """The engine loads a model; the record on screen stays."""

    progress: Progress
    continues: bool = False
    """whether the record on screen is continued afterwards; else a new run begins"""
    answers: int = 1
    """how many `open` commands are unanswered; only the last answer counts"""


@dataclass(frozen=True)
class Recomputing:
    """The engine recomputes the recorded steps, so that it can continue after them."""

    progress: Progress


@dataclass(frozen=True)
class Live:
    """The engine is at the end of the record."""


@dataclass(frozen=True)
class Lost:
    """The connection to a remote engine is lost; the next try comes in `wait` seconds."""

    reason: str
    wait: float


@dataclass(frozen=True)
class Dead:
    """There is no engine process; the record on screen stays."""

    reason: str
    final: bool = False
    """whether nothing is on screen either, so that the application ends"""


@dataclass(frozen=True)
class EngineFailed:
    """The engine process is alive, but could not load the model, begin the run, or continue the record."""

    reason: str
    loaded: bool = False
    """whether the engine still has the model of the record on screen"""
    final: bool = False
    """as in `Dead`"""


Phase = Starting | LoadingModel | Recomputing | Live | Lost | Dead | EngineFailed


def recomputing(done: int, total: int) -> Recomputing:
    """Return the phase in which `done` of `total` recorded steps are recomputed."""
    return Recomputing(Progress("recomputing the recorded steps", done, total, steps=True))
