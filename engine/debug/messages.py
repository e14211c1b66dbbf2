"""The debugger's messages between terminal and engine."""

from __future__ import annotations

from engine.debug import findings
from engine.messages import Message, SettingsData
from engine.records import Branch, Edit, StrategyInfo

# terminal -> engine


class Fork(Message, frozen=True):
    """Begin a branch and continue in it; without settings it replays what its parent has recorded.  Credit is void.

    A branch of which the terminal has a record and the engine none begins at the start, with settings: its frames
    before `at` are computed again as those of `Begin`, under `past` and `edits`, and `Resumed` follows `Switched`.
    """

    branch: Branch
    settings: SettingsData | None = None
    at: int = 0
    past: tuple[tuple[int, SettingsData], ...] = ()
    edits: tuple[tuple[int, Edit], ...] = ()


class Switch(Message, frozen=True):
    """Continue in another branch of the run, where it was left.  Credit is void."""

    branch: int


class Together(Message, frozen=True):
    """Step these branches round-robin, the shortest first; an empty tuple means the run's current branch.

    They share the run's seed, so their difference is their settings'.  Credit is void, and counts the steps of all; a
    branch that is found to have ended uses up the step that it was granted.
    """

    branches: tuple[int, ...]


class Alter(Message, frozen=True):
    """Change the canvas by hand at the branch's current step; answered by the edit's frame."""

    edit: Edit


class Break(Message, frozen=True):
    """Stop at a condition, as a person types it, in one sample or in any; it takes the place of the same number."""

    number: int
    text: str
    sample: int | None = None


class Clear(Message, frozen=True):
    """Forget a breakpoint, or all."""

    number: int | None = None


class Look(Message, frozen=True):
    """Ask for the network's `top` tokens at one position, after `step` steps of the branch (None: now)."""

    sample: int
    position: int
    step: int | None = None
    top: int = 20


class Draft(Message, frozen=True):
    """Ask for the network's first choice at every masked position, after `step` steps of the branch (None: now)."""

    sample: int
    step: int | None = None


class UseFile(Message, frozen=True):
    """Load a strategy from a Python file of the engine's machine, and again whenever it changes; "": no more."""

    path: str


# engine -> terminal


class Switched(Message, frozen=True, tag="Stands"):  # its name in protocol 5
    """The answer to `Fork` and `Switch`: the engine is in this branch, after `step` steps."""

    run: int
    branch: int
    step: int


class Stopped(Message, frozen=True):
    """Breakpoints were hit by the frame before; no step is taken until credit comes that knows of this stop."""

    run: int
    branch: int
    stop: int
    hits: tuple[findings.Hit, ...]


class Broken(Message, frozen=True):
    """The frame before broke a law; the run continues."""

    run: int
    branch: int
    violation: findings.Violation


class Looked(Message, frozen=True, rename={"prediction": "opinion"}):  # its name in protocol 5
    """The answer to `Look`."""

    run: int
    branch: int
    prediction: findings.TokenPrediction


class Drafted(Message, frozen=True):
    """The answer to `Draft`."""

    run: int
    branch: int
    drafts: findings.Drafts


class FileLoaded(Message, frozen=True):
    """A strategy's file was loaded; if the branch runs by it, the next step is the new one's."""

    path: str
    digest: str
    """SHA-256 of the file"""
    strategy: StrategyInfo


class StrategyFailed(Message, frozen=True):
    """A strategy of a file or a package is wrong; the branch stays where it was, as after `Stopped`.

    `detail` is the traceback within the strategy's own file; `step` of the branch could not be taken, -1: the file
    could not be loaded, and what it defined last stays.
    """

    run: int
    branch: int
    stop: int
    step: int
    reason: str
    detail: str


DebugCommand = Fork | Switch | Together | Alter | Break | Clear | Look | Draft | UseFile
DebugEvent = Switched | Stopped | Broken | Looked | Drafted | FileLoaded | StrategyFailed
