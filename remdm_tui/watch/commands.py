"""What the reducer tells a watch session to do; `session` and `executor` carry it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.debug.findings import Prediction, Violation
from engine.records import Branch, Edit, ModelChoice, ModelInfo, RunChoice, Settings
from engine.sampling.trace import Record
from remdm_tui.watch.findings import Failure
from remdm_tui.watch.player import Demand

# -- to the engine


@dataclass(frozen=True)
class Launch:
    """Start the engine process."""


@dataclass(frozen=True)
class Relaunch:
    """Start another engine process in place of this one."""

    patience: float = 0.5


@dataclass(frozen=True)
class CloseEngine:
    patience: float = 0.5


@dataclass(frozen=True)
class OpenModel:
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
    settings: Settings


@dataclass(frozen=True)
class ForkEngine:
    branch: Branch
    record: Record
    settings: Settings


@dataclass(frozen=True)
class RecallBranch:
    branch: Branch
    record: Record
    settings: Settings


@dataclass(frozen=True)
class SwitchEngine:
    branch: int


@dataclass(frozen=True)
class StepTogether:
    branches: tuple[int, ...]


@dataclass(frozen=True)
class SendEdit:
    edit: Edit


@dataclass(frozen=True)
class Request:
    """Let steps be outstanding, when so many were known to be recorded."""

    demand: Demand
    known: int


@dataclass(frozen=True)
class MeasureModel:
    """Have the model's loss measured."""


@dataclass(frozen=True)
class PointLink:
    """Let a link without an engine show another record."""

    branch: int
    record: Record


# -- to the recording


@dataclass(frozen=True)
class ExpectRun:
    """The next record that the link makes is this run's."""

    choice: ModelChoice
    model: ModelInfo
    run: RunChoice


@dataclass(frozen=True)
class ResumeRecording:
    """Write to the recording that was opened."""

    model: ModelInfo


@dataclass(frozen=True)
class ForkRecording:
    """Add a branch; `edit` follows in it, `pane` puts it beside the others."""

    parent: int
    at: int
    settings: Settings
    edit: Edit | None = None
    pane: bool = False


@dataclass(frozen=True)
class TidyRecording:
    """Close the runs before the one on screen."""


@dataclass(frozen=True)
class CloseRecording:
    """Write everything to the disk."""


# -- to what is shown


@dataclass(frozen=True)
class AskForModel:
    reason: str


@dataclass(frozen=True)
class NewRun:
    """Forget what was found in the last run, and read breakpoints with this vocabulary."""

    pieces: Sequence[str]
    fragments: Mapping[int, bytes]


@dataclass(frozen=True)
class CheckBreakpoints:
    """Check the recorded steps after `before` that the view has moved through against the breakpoints."""

    before: int


@dataclass(frozen=True)
class ShowViolation:
    violation: Violation


@dataclass(frozen=True)
class ShowFailure:
    failure: Failure | None


@dataclass(frozen=True)
class ShowPrediction:
    opinion: Prediction


@dataclass(frozen=True)
class EndPrediction:
    """No prediction comes; `hide`: show the story of the position instead; `forget` the last one."""

    hide: bool = False
    forget: bool = False


ToDebugger = NewRun | CheckBreakpoints | ShowViolation | ShowFailure | ShowPrediction | EndPrediction
Command = (
    Launch | Relaunch | CloseEngine | OpenModel | BeginRun | SendSettings | ForkEngine | RecallBranch | SwitchEngine
    | StepTogether | SendEdit | Request | MeasureModel | PointLink | ExpectRun | ResumeRecording | ForkRecording
    | TidyRecording | CloseRecording | AskForModel | ToDebugger
)  # fmt: skip
