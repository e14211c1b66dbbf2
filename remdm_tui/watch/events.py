"""What can happen to a watch session: what the engine says, what a person does, the clock, and outcomes of commands.

The reducer takes events and gives commands; what carrying these out leads to comes back as an outcome.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.debug.findings import Hit
from engine.records import Branch, Edit, Knob, ModelChoice, ModelInfo, Settings
from engine.sampling.trace import Record
from remdm_tui.link import base
from remdm_tui.watch.commands import ForkRecording
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.player import Player

# -- what a person does


@dataclass(frozen=True)
class Start:
    """Start the engine and load the model; or, for something to wait for, start it and wait for `Load`."""

    waits_for: str = ""


@dataclass(frozen=True)
class Load:
    """Load a model and begin a run of it, `by` seeds further."""

    choice: ModelChoice
    by: int = 0


@dataclass(frozen=True)
class Cancel:
    """Stop what is under way."""


@dataclass(frozen=True)
class Revive:
    """Start another engine process that continues the record."""


@dataclass(frozen=True)
class Restart:
    """Begin a new run, `by` seeds further."""

    by: int


@dataclass(frozen=True)
class Close:
    """Leave."""


@dataclass(frozen=True)
class TurnKnob:
    """Turn a knob."""

    name: str
    value: Knob


@dataclass(frozen=True)
class Configure:
    """Use these settings from now on."""

    settings: Settings


@dataclass(frozen=True)
class Move:
    """Put the view somewhere, or play."""

    player: Player


@dataclass(frozen=True)
class ShowSample:
    """Show another sample of the batch."""

    sample: int


@dataclass(frozen=True)
class ShowNotice:
    """Show a line to the person."""

    notice: Notice


@dataclass(frozen=True)
class Measure:
    """Have the model's loss on a short text measured."""


@dataclass(frozen=True)
class EditCanvas:
    """Change the canvas by hand at the position on screen, in the past on a new branch."""

    edit: Edit


@dataclass(frozen=True)
class BranchOff:
    """Begin a branch at the position on screen, with the settings there."""


@dataclass(frozen=True)
class GoTo:
    """Show a branch, at the position on screen or its end."""

    branch: int


@dataclass(frozen=True)
class Compare:
    """Compare the branch on screen with another, or with none."""

    branch: int | None


@dataclass(frozen=True)
class OpenPanes:
    """Put the branches side by side."""


@dataclass(frozen=True)
class AddPane:
    """Begin a branch at the start, in a pane of its own."""

    settings: Settings


@dataclass(frozen=True)
class ClosePanes:
    """Show the branch that has the focus alone."""


@dataclass(frozen=True)
class FocusPane:
    """Give the focus to the pane of a branch."""

    branch: int


@dataclass(frozen=True)
class PutInPane:
    """Show a branch in place of the one that has the focus."""

    branch: int


# -- the clock


@dataclass(frozen=True)
class Tick:
    seconds: float


# -- outcomes of commands


@dataclass(frozen=True)
class LaunchFailed:
    reason: str


@dataclass(frozen=True)
class Adopted:
    """The recording has moved on to the run that was to begin, although the engine that began it is gone."""

    record: Record


@dataclass(frozen=True)
class RecordingResumed:
    """The recording that was opened is written to again, from the end of this branch."""

    model: ModelInfo
    record: Record


@dataclass(frozen=True)
class ResumeFailed:
    reason: str


@dataclass(frozen=True)
class Forked:
    """The recording has a new branch, as `command` asked for."""

    command: ForkRecording
    branch: Branch
    record: Record


@dataclass(frozen=True)
class ForkFailed:
    command: ForkRecording
    reason: str


@dataclass(frozen=True)
class RequestSent:
    """Steps that the clock wanted were sent for."""


@dataclass(frozen=True)
class BreakpointsHit:
    """Recorded steps that the view moved through hit breakpoints."""

    hits: tuple[Hit, ...]
    branch: int


@dataclass(frozen=True)
class Damaged:
    """The recording is damaged and ends before the step that could not be read."""

    reason: str


Action = (
    Start | Load | Cancel | Revive | Restart | Close | TurnKnob | Configure | Move | ShowSample | ShowNotice | Measure
    | EditCanvas | BranchOff | GoTo | Compare | OpenPanes | AddPane | ClosePanes | FocusPane | PutInPane
)  # fmt: skip
Outcome = (
    LaunchFailed | Adopted | RecordingResumed | ResumeFailed | Forked | ForkFailed | RequestSent | BreakpointsHit
    | Damaged
)  # fmt: skip
Event = base.Event | Action | Tick | Outcome
