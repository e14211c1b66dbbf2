"""The line that a session shows to the person, and progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["failure", "hint", "note"]
"""A failure: something went wrong.  A hint: why a key does nothing now.  A note: what was done or found."""
Fact = Literal["run", "branch", "panes", "phase", "place", "plays", "moves", "selection", "settings"]
"""What a notice can depend on; `lifetime.fact` reads each from the state."""

HERE: tuple[Fact, ...] = ("run", "branch", "panes", "phase", "place", "selection")
"""Until the person leaves what is on screen: its step while paused, its token, its panes."""
THIS_ENGINE: tuple[Fact, ...] = ("run", "phase")
"""Until the engine's state is another."""
A_STOP: tuple[Fact, ...] = ("run", "branch", "panes", "moves")
"""Until the person continues from where the run stopped, not while other panes still catch up."""
A_LAW: tuple[Fact, ...] = ("run", "branch", "moves")
"""Until the person leaves the step that broke the law; one that came while the run played stays when it pauses."""
THIS_RUN: tuple[Fact, ...] = ("run",)


@dataclass(frozen=True)
class Notice:
    """One line on screen; empty for none.  It ends as soon as one of the facts in `ends` is another than when it came.

    A failure that still holds returns when what was shown over it has ended.
    """

    text: str = ""
    severity: Severity = "note"
    ends: tuple[Fact, ...] = HERE
    more: int = 0
    """how many broken laws the line leaves out"""

    @property
    def error(self) -> bool:
        """Whether it reports a failure."""
        return self.severity == "failure"


@dataclass(frozen=True)
class Progress:
    """The progress of a long operation, in bytes or in steps; `total` is 0 if unknown."""

    stage: str
    done: int = 0
    total: int = 0
    steps: bool = False
