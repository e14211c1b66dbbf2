"""The commands of the reducer; `executor` and `debugger` execute them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.debug.findings import Hit, TokenPrediction, Violation
from engine.records import Branch, Edit, ModelChoice, ModelInfo, RunChoice, Settings
from engine.sampling.trace import Record
from remdm_tui.watch.breakpoints import Breakpoint
from remdm_tui.watch.player import Demand

# -- to the engine


@dataclass(frozen=True)
class Launch:
    """Start the engine process."""


@dataclass(frozen=True)
class Relaunch:
    """Replace the engine process by a new one."""

    patience: float = 0.5


@dataclass(frozen=True)
class CloseEngine:
    """End the engine process, after `patience` seconds by force."""

    patience: float = 0.5


@dataclass(frozen=True)
class OpenModel:
    """Load a model."""

    choice: ModelChoice


@dataclass(frozen=True)
class BeginRun:
    """Begin a run, or continue the record of a branch."""

    settings: Settings
    run: RunChoice
    record: Record | None = None
    branch: int = 0


@dataclass(frozen=True)
class SendSettings:
    """Use settings from the next step on."""

    settings: Settings


@dataclass(frozen=True)
class ForkEngine:
    """Begin a branch in the engine and continue there."""

    branch: Branch
    record: Record
    settings: Settings


@dataclass(frozen=True)
class RecallBranch:
    """Have the engine recompute a branch that it does not know."""

    branch: Branch
    record: Record
    settings: Settings


@dataclass(frozen=True)
class SwitchEngine:
    """Continue in another branch."""

    branch: int


@dataclass(frozen=True)
class StepTogether:
    """Step branches round-robin; an empty sequence means the current branch."""

    branches: tuple[int, ...]


@dataclass(frozen=True)
class SendEdit:
    """Change the canvas by hand at the end of the record."""

    edit: Edit


@dataclass(frozen=True)
class Request:
    """Let steps be outstanding; `known`: number of recorded steps when they were demanded."""

    demand: Demand
    known: int


@dataclass(frozen=True)
class RequestModelCheck:
    """Measure the model's loss on a short text."""


@dataclass(frozen=True)
class RequestPrediction:
    """Ask for the model's prediction of a token after a step."""

    sample: int
    position: int
    step: int


@dataclass(frozen=True)
class RequestDrafts:
    """Ask for what the model would put at the masked positions after a step."""

    sample: int
    step: int


@dataclass(frozen=True)
class PointLink:
    """Make a link without an engine point to another record."""

    branch: int
    record: Record


# -- to the recording


@dataclass(frozen=True)
class ExpectRun:
    """Use these for the header of the next run."""

    choice: ModelChoice
    model: ModelInfo
    run: RunChoice


@dataclass(frozen=True)
class ResumeRecording:
    """Append to the opened recording."""

    model: ModelInfo


@dataclass(frozen=True)
class ForkRecording:
    """Add a branch at step `at` of `parent`; then make `edit` in it, or show it in a pane."""

    parent: int
    at: int
    settings: Settings
    edit: Edit | None = None
    pane: bool = False


@dataclass(frozen=True)
class TidyRecording:
    """Move the recordings of earlier runs to the list of runs that were left."""


@dataclass(frozen=True)
class CloseRecording:
    """Write everything to disk."""


# -- to the debugger


@dataclass(frozen=True)
class UseVocabulary:
    """Parse breakpoints with the vocabulary of a new run, and drop the history that was read of the last one."""

    pieces: Sequence[str]
    fragments: Mapping[int, bytes]


@dataclass(frozen=True)
class SetBreakpoint:
    """Set a breakpoint in the engine, or clear it if it is off."""

    breakpoint: Breakpoint


@dataclass(frozen=True)
class ClearBreakpoint:
    """Remove a breakpoint from the engine."""

    number: int


@dataclass(frozen=True)
class CheckBreakpoints:
    """Check the breakpoints in the recorded steps between `start` and the view."""

    start: int


@dataclass(frozen=True)
class SelectToken:
    """Select the position for which breakpoints have stopped the run; the first is the one that is shown."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class SelectSuspect:
    """Select the token that broke a law."""

    violation: Violation


@dataclass(frozen=True)
class FindRank:
    """Find the rank, in a prediction, of the token that its step then revealed."""

    prediction: TokenPrediction


ToDebugger = (
    UseVocabulary | SetBreakpoint | ClearBreakpoint | CheckBreakpoints | SelectToken | SelectSuspect | FindRank
)  # fmt: skip
SessionCommand = (
    Launch | Relaunch | CloseEngine | OpenModel | BeginRun | SendSettings | ForkEngine | RecallBranch | SwitchEngine
    | StepTogether | SendEdit | Request | RequestModelCheck | RequestPrediction | RequestDrafts | PointLink
    | ExpectRun | ResumeRecording | ForkRecording | TidyRecording | CloseRecording | ToDebugger
)  # fmt: skip
