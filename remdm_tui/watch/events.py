"""The events of a watch session: the engine's, actions of the person, ticks of the clock, and outcomes of commands."""

from __future__ import annotations

from dataclasses import dataclass

from engine.debug.findings import Hit
from engine.records import Branch, Edit, Knob, ModelChoice, ModelInfo, Settings
from engine.sampling.trace import Record
from remdm_tui.link import base
from remdm_tui.watch.commands import ForkRecording
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.player import Player

# -- actions of the person, and the clock


@dataclass(frozen=True)
class Start:
    """Start the engine and load the model, or wait for `Load` and show `waits_for` until then."""

    waits_for: str = ""


@dataclass(frozen=True)
class Load:
    """Load a model and begin a run of it; add `by` to the seed."""

    choice: ModelChoice
    by: int = 0


@dataclass(frozen=True)
class Cancel:
    """Stop the long operation in progress."""


@dataclass(frozen=True)
class Revive:
    """Start another engine process that continues the record."""


@dataclass(frozen=True)
class Restart:
    """Begin a new run; add `by` to the seed."""

    by: int


@dataclass(frozen=True)
class Close:
    """Close the engine and the recording."""


@dataclass(frozen=True)
class TurnKnob:
    """Set a knob."""

    name: str
    value: Knob


@dataclass(frozen=True)
class ChangeOptions:
    """Use these settings from now on."""

    settings: Settings


@dataclass(frozen=True)
class Move:
    """Move the view, play or pause."""

    player: Player


@dataclass(frozen=True)
class ShowSample:
    """Show another sample of the batch."""

    sample: int


@dataclass(frozen=True)
class ShowNotice:
    """Show a line on screen."""

    notice: Notice


@dataclass(frozen=True)
class Dismiss:
    """Close the notice on screen."""


@dataclass(frozen=True)
class Select:
    """Select a position of the text; None: none."""

    position: int | None


@dataclass(frozen=True)
class Search:
    """Mark the occurrences of a text; empty: no more."""

    text: str


@dataclass(frozen=True)
class TogglePrediction:
    """Show the model's prediction of the selected token, or its history again."""


@dataclass(frozen=True)
class WantDrafts:
    """Request the model's drafts of the step on screen unless they are there, to show them or to colour by entropy."""

    overlay: bool
    entropy: bool


@dataclass(frozen=True)
class CloseFailure:
    """Close the report of a failed strategy."""


@dataclass(frozen=True)
class NewBreakpoint:
    """Stop at a condition, which the session has checked."""

    text: str


@dataclass(frozen=True)
class ToggleBreakpoint:
    """Switch a breakpoint on or off."""

    number: int


@dataclass(frozen=True)
class RemoveBreakpoint:
    """Remove a breakpoint."""

    number: int


@dataclass(frozen=True)
class PickerOpened:
    """The person has been asked for another model."""


@dataclass(frozen=True)
class StartModelCheck:
    """Measure the model's loss on a short text."""


@dataclass(frozen=True)
class EditCanvas:
    """Change the canvas by hand at the position on screen; in the past, on a new branch."""

    edit: Edit


@dataclass(frozen=True)
class BranchOff:
    """Begin a branch at the position on screen, with the settings in force there."""


@dataclass(frozen=True)
class ShowBranch:
    """Show a branch, at the position on screen or its end."""

    branch: int


@dataclass(frozen=True)
class Compare:
    """Compare the branch on screen with another, or with none."""

    branch: int | None


@dataclass(frozen=True)
class OpenPanes:
    """Show the branches side by side."""


@dataclass(frozen=True)
class AddPane:
    """Begin a branch at the start, in a new pane."""

    settings: Settings


@dataclass(frozen=True)
class ClosePanes:
    """Show only the branch with the focus."""


@dataclass(frozen=True)
class FocusPane:
    """Move the focus to the pane of a branch."""

    branch: int


@dataclass(frozen=True)
class PutInPane:
    """Show a branch in the pane with the focus."""

    branch: int


@dataclass(frozen=True)
class Tick:
    """Time has passed."""

    seconds: float


# -- outcomes of commands


@dataclass(frozen=True)
class LaunchFailed:
    """The engine process could not be started."""

    reason: str


@dataclass(frozen=True)
class Adopted:
    """The engine ended after it began a run, whose record is now the recording's."""

    record: Record


@dataclass(frozen=True)
class RecordingResumed:
    """The opened recording can be appended to; `record` is that of the branch to continue."""

    model: ModelInfo
    record: Record


@dataclass(frozen=True)
class ResumeFailed:
    """The opened recording cannot be appended to."""

    reason: str


@dataclass(frozen=True)
class Forked:
    """The recording has made the branch that `command` requested."""

    command: ForkRecording
    branch: Branch
    record: Record


@dataclass(frozen=True)
class ForkFailed:
    """The recording could not make the branch."""

    command: ForkRecording
    reason: str


@dataclass(frozen=True)
class RequestSent:
    """The steps that the clock demanded were requested."""


@dataclass(frozen=True)
class BreakpointsHit:
    """Recorded steps that the view has passed hit breakpoints."""

    hits: tuple[Hit, ...]
    branch: int


@dataclass(frozen=True)
class RunLeft:
    """The run before the one on screen was added to those left; `text` says where it is."""

    text: str


@dataclass(frozen=True)
class Damaged:
    """The recording is damaged and ends before the step that could not be read."""

    reason: str


@dataclass(frozen=True)
class CloseFailed:
    """The recording could not be written to disk completely."""

    reason: str


DebugAction = (
    Select | Search | TogglePrediction | WantDrafts | CloseFailure | NewBreakpoint | ToggleBreakpoint | RemoveBreakpoint
)  # fmt: skip
Action = (
    Start | Load | Cancel | Revive | Restart | Close | TurnKnob | ChangeOptions | Move | ShowSample | ShowNotice
    | Dismiss | DebugAction | PickerOpened | StartModelCheck | EditCanvas | BranchOff | ShowBranch | Compare
    | OpenPanes | AddPane | ClosePanes | FocusPane | PutInPane
)  # fmt: skip
Outcome = (
    LaunchFailed | Adopted | RecordingResumed | ResumeFailed | Forked | ForkFailed | RequestSent | BreakpointsHit
    | RunLeft | Damaged | CloseFailed
)  # fmt: skip
SessionEvent = base.LinkEvent | Action | Tick | Outcome
