"""The whole state of a watch session, as one frozen value.

Records are the exception: the link's thread appends to them.  `Observed` holds the length of each when the session
looked.  Neither this module nor the reducer reads a record beyond that, so that equal arguments give equal results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from engine.debug.branches import tree
from engine.records import Branch, ModelCheck, ModelChoice, ModelInfo, RunChoice, Settings, StrategyInfo
from engine.sampling.trace import Record
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch.breakpoints import Breakpoints
from remdm_tui.watch.drafts import DraftRequests
from remdm_tui.watch.findings import Findings
from remdm_tui.watch.inspector import Inspection
from remdm_tui.watch.notices import Notice, Progress
from remdm_tui.watch.phase import Dead, EngineFailed, Live, LoadingModel, Lost, Phase, Recomputing, Starting
from remdm_tui.watch.player import AHEAD, Player
from remdm_tui.watch.reconnect import Retries

LETTERS = "ABCD"
"""Names of the panes."""
MOST = len(LETTERS)
"""The largest number of panes."""


@dataclass(frozen=True)
class Running:
    """The model and the run of a record."""

    choice: ModelChoice
    model: ModelInfo
    run: RunChoice


@dataclass(frozen=True, eq=False)
class Pane:
    """One branch in split view; it keeps its record while another run begins."""

    branch: int
    record: Record


@dataclass(frozen=True)
class Observed:
    """A snapshot of the link and the recording."""

    record: Record | None = None
    """the link's record"""
    branch: int = 0
    """the link's branch"""
    outstanding: int = 0
    known: frozenset[int] = frozenset()
    """branches that the engine knows"""
    tree: tuple[Branch, ...] = (Branch(0),)
    records: Mapping[int, Record] = field(default_factory=lambda: MappingProxyType({}))
    """records of the branches in the tree and in the panes"""
    lengths: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    """number of recorded steps of each"""
    writable: bool = False
    """whether branches can be added"""
    resume: bool = False
    """whether a recording was opened that must still be continued"""
    problem: str = ""
    """why the run is not written to a file; empty if it is"""
    replaceable: bool = True
    """whether the run on screen can be opened again after another has begun"""


@dataclass(frozen=True)
class BranchState:
    """The branches of the run, apart from their records."""

    switching: bool = False
    """whether the engine has yet to confirm that it is in the branch on screen"""
    against: int | None = None
    """the branch that the one on screen is compared with"""
    previous: int | None = None
    """the previous branch on screen"""
    settings: Mapping[int, Settings] = field(default_factory=lambda: MappingProxyType({}))
    """the last settings of branches that are not on screen"""
    ended: frozenset[int] = frozenset()
    """branches without a next step"""


@dataclass(frozen=True)
class PaneState:
    """Branches side by side on one clock; without panes one branch is on screen."""

    panes: tuple[Pane, ...] = ()
    focus: int = 0
    """the branch that the knobs act on"""
    next_settings: tuple[Settings, ...] = ()
    """settings of the panes that the next run adds to its own"""
    next_focus: int = 0
    """index of the pane that then gets the focus"""
    pending: int = 0
    """panes whose branch the recording has yet to make"""
    unanswered: tuple[int, ...] = ()
    """branches that the engine has yet to confirm or refuse"""
    may_be_uneven: bool = False
    """whether a pause, a breakpoint or an edit may have come between the steps of two panes"""
    levelled: tuple[int, ...] = ()
    """lengths of the panes when the shorter one last caught up"""
    recomputing: bool = False
    """whether the recorded steps of a pane are being recomputed"""


@dataclass(frozen=True)
class Shown:
    """A notice, and the facts in its `ends` as they were when it came."""

    notice: Notice
    facts: tuple[object, ...]


@dataclass(frozen=True)
class SessionState:
    """Only `reducer.reduce` makes new states."""

    options: WatchOptions
    settings: Settings
    choice: ModelChoice
    """the model that was last loaded or is being loaded"""
    phase: Phase = field(default_factory=Starting)
    seed: int = 0
    player: Player = field(default_factory=Player)
    sample: int = 0
    running: Running | None = None
    """model and run of the record on screen; None: nothing is on screen"""
    arriving: Running | None = None
    """model and run that the engine is about to begin"""
    record: Record | None = None
    """the record on screen"""
    branch: int = 0
    """the branch on screen"""
    branches: BranchState = field(default_factory=BranchState)
    panes: PaneState = field(default_factory=PaneState)
    strategies: tuple[StrategyInfo, ...] = ()
    problems: tuple[str, ...] = ()
    """why strategies of installed packages cannot be used, a sentence each"""
    file: str = ""
    """name of the strategy that was loaded from a file"""
    notice: Notice = field(default_factory=Notice)
    shown: Shown | None = None
    """the notice with what it depends on"""
    covered: Shown | None = None
    """a failure that another notice covers; it returns when that one ends"""
    runs: int = 0
    """number of runs that were on screen"""
    moves: int = 0
    """how often a person went to another step or resumed playing"""
    stopped_laws: frozenset[str] = frozenset()
    """laws that have stopped the run on screen: each does so once"""
    inspection: Inspection = field(default_factory=Inspection)
    findings: Findings = field(default_factory=Findings)
    breakpoints: Breakpoints = field(default_factory=Breakpoints)
    drafts: DraftRequests = field(default_factory=DraftRequests)
    needs_model: str | None = None
    """why the person must pick a model; None once they have been asked"""
    unwritten: str = ""
    """why the recording is incomplete on disk; empty if it is complete"""
    hint: str = ""
    """shown when the first run begins"""
    lead: int = 0
    """the position to show as soon as it is recorded; 0: none"""
    check: ModelCheck | str | None = None
    """the model's loss on a short text, or why it is unknown"""
    causal: bool = False
    """whether the last model was causal"""
    retries: Retries = field(default_factory=Retries)
    observed: Observed = field(default_factory=Observed)

    # -- the phase

    @property
    def live(self) -> bool:
        """Whether the engine is at the end of the record."""
        return isinstance(self.phase, Live)

    @property
    def alive(self) -> bool:
        """Whether an engine process is alive."""
        return not isinstance(self.phase, Dead | Lost) and not (
            isinstance(self.phase, EngineFailed) and self.phase.final
        )

    @property
    def loaded(self) -> bool:
        """Whether the engine has the model of `choice`."""
        match self.phase:
            case Live() | Recomputing():
                return True
            case Starting(loaded=loaded) | EngineFailed(loaded=loaded):
                return loaded
            case _:
                return False

    @property
    def progress(self) -> Progress | None:
        """The progress of the phase; None if it has none."""
        phase = self.phase
        return phase.progress if isinstance(phase, Starting | LoadingModel | Recomputing) else None

    @property
    def waiting(self) -> bool:
        """Whether a long operation can be cancelled."""
        return self.progress is not None or isinstance(self.phase, Lost)

    @property
    def failure(self) -> str | None:
        """Why nothing is on screen, or why the recording is incomplete; None if neither."""
        phase = self.phase
        reason = phase.reason if self.running is None and isinstance(phase, Dead | EngineFailed) else None
        return self.unwritten or reason

    @property
    def over(self) -> bool:
        """Whether the application ends."""
        return isinstance(self.phase, Dead | EngineFailed) and self.phase.final

    # -- the records

    def length(self, branch: int) -> int:
        """Return the number of recorded steps of a branch."""
        return self.observed.lengths.get(branch, 0)

    @property
    def order(self) -> list[int]:
        """The branches in the order of the tree."""
        return [row.branch.id for row in tree(self.observed.tree)]

    @property
    def recorded(self) -> int:
        """The last position that the view can show; with panes, the shortest length of those that can continue."""
        if self.running is None:
            return 0
        if not self.panes.panes:
            return self.length(self.branch)
        going = self.going
        return min(going) if going else max(self.length(pane.branch) for pane in self.panes.panes)

    @property
    def position(self) -> int:
        """The position on screen, within the record."""
        return min(self.player.position, self.length(self.branch))

    @property
    def made(self) -> Settings:
        """The settings that made the step on screen; at the start, those of the first step."""
        return self._recorded_settings(max(0, self.position - 1)) or self.settings

    @property
    def upcoming(self) -> Settings:
        """The settings of the step after the one on screen: as recorded, or as they are set.

        A recording that nothing can change has no step after its last.
        """
        recorded = self._recorded_settings(self.position) if self.running is not None and self.past else None
        return recorded or (self.made if self.read_only else self.settings)

    def _recorded_settings(self, step: int) -> Settings | None:
        """Return the settings of a recorded step; None if it is not recorded.  No frame is read from a file."""
        if self.record is None or step >= self.length(self.branch):
            return None
        return next((settings for at, settings in reversed(self.record.settings()) if at <= step), None)

    @property
    def read_only(self) -> bool:
        """Whether a recording is on screen that nothing can change."""
        return self.live and not self.observed.writable

    @property
    def past(self) -> bool:
        """Whether steps are recorded after the one on screen."""
        if not self.panes.panes:
            return not self.player.live
        # while the clock runs, the engine is a little ahead of it
        length = self.length(self.panes.focus)
        return length - min(self.player.position, length) > (AHEAD if self.player.playing and self.player.live else 0)

    @property
    def ended(self) -> bool:
        """Whether no pane has a next step."""
        return not self.observed.writable or all(pane.branch in self.branches.ended for pane in self.panes.panes)

    @property
    def going(self) -> tuple[int, ...]:
        """The lengths of the panes that have a next step."""
        if not (self.live or self.panes.recomputing) or not self.observed.writable:
            return ()
        return tuple(self.length(pane.branch) for pane in self.panes.panes if pane.branch not in self.branches.ended)

    @property
    def uneven(self) -> bool:
        """Whether a pause came between the steps of two panes, and the shorter one must catch up."""
        player, going = self.player, self.going
        paused = self.panes.may_be_uneven and player.live and not player.playing and not player.stepping
        return paused and bool(going) and max(going) - min(going) == 1 and going != self.panes.levelled

    def pane(self, branch: int) -> Pane:
        """Return the pane that shows a branch."""
        return next(pane for pane in self.panes.panes if pane.branch == branch)

    def letter(self, branch: int) -> str:
        """Return the name of a branch's pane; empty if it has none."""
        return next((letter for letter, pane in zip(LETTERS, self.panes.panes) if pane.branch == branch), "")
