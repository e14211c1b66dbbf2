"""All that a watch session knows, as one frozen value.

Records are the exception: the link's thread appends to them.  `Observed` holds how long each was when the session
looked, and nothing here or in the reducer reads a record beyond that, so that equal arguments give equal results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from engine.debug.branches import tree
from engine.records import Branch, Check, ModelChoice, ModelInfo, RunChoice, Settings, StrategyInfo
from engine.sampling.trace import Record
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch.notices import Notice, Progress
from remdm_tui.watch.phase import Dead, Failed, Live, Loading, Lost, Phase, Recomputing, Starting
from remdm_tui.watch.player import AHEAD, Player
from remdm_tui.watch.reconnect import Retries

LETTERS = "ABCD"
"""Names of the panes."""
MOST = len(LETTERS)


@dataclass(frozen=True)
class Running:
    """What a record was made with."""

    choice: ModelChoice
    model: ModelInfo
    run: RunChoice


@dataclass(frozen=True, eq=False)
class Pane:
    """One branch beside others; it keeps its record while another run begins."""

    branch: int
    record: Record


@dataclass(frozen=True)
class Observed:
    """The link and the recording as the session last saw them."""

    record: Record | None = None
    """the link's record"""
    branch: int = 0
    """the link's branch"""
    outstanding: int = 0
    known: frozenset[int] = frozenset()
    """branches that the engine has"""
    tree: tuple[Branch, ...] = (Branch(0),)
    records: Mapping[int, Record] = field(default_factory=lambda: MappingProxyType({}))
    """of the branches in the tree and in the panes"""
    lengths: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    """recorded steps of each"""
    writable: bool = False
    """whether branches can be added"""
    resume: bool = False
    """whether the recording that was opened is still to be continued"""
    problem: str = ""
    """why the run is not written to a file"""


@dataclass(frozen=True)
class BranchState:
    """What is known of the branches of the run besides their records."""

    moving: bool = False
    """whether the engine has not confirmed yet that it stands in the branch on screen"""
    against: int | None = None
    """the branch that the one on screen is compared with"""
    before: int | None = None
    """the branch that was on screen before"""
    left: Mapping[int, Settings] = field(default_factory=lambda: MappingProxyType({}))
    """settings of branches as they were left"""
    ended: frozenset[int] = frozenset()
    """branches that have no further step"""


@dataclass(frozen=True)
class PaneState:
    """Branches side by side on one clock; without panes there is one branch on screen."""

    panes: tuple[Pane, ...] = ()
    focus: int = 0
    """the branch whose knobs are turned"""
    wanted: tuple[Settings, ...] = ()
    """panes that the next run has besides its own"""
    at: int = 0
    """which of all these has the focus then"""
    pending: int = 0
    """panes that the recording has yet to make a branch for"""
    unanswered: tuple[int, ...] = ()
    """branches whose beginning the engine has not answered"""
    loose: bool = False
    """whether something may have come between the steps of two panes: a pause, a breakpoint or an edit"""
    levelled: tuple[int, ...] = ()
    """how far the panes had come when the one behind was last sent on"""
    again: bool = False
    """whether the recorded steps of a pane are being computed again"""


@dataclass(frozen=True)
class SessionState:
    """Changed by `reducer.reduce` alone."""

    options: WatchOptions
    settings: Settings
    choice: ModelChoice
    """the model that was loaded last or is being loaded"""
    phase: Phase = field(default_factory=Starting)
    seed: int = 0
    player: Player = field(default_factory=Player)
    sample: int = 0
    running: Running | None = None
    """what the record on screen was made with; None: nothing is on screen"""
    arriving: Running | None = None
    """the run that the engine was told to begin"""
    record: Record | None = None
    """that on screen"""
    branch: int = 0
    """that on screen"""
    branches: BranchState = field(default_factory=BranchState)
    panes: PaneState = field(default_factory=PaneState)
    strategies: tuple[StrategyInfo, ...] = ()
    problems: tuple[str, ...] = ()
    """strategies of installed packages that cannot be used"""
    file: str = ""
    """the name of the strategy that was loaded from a file"""
    notice: Notice = field(default_factory=Notice)
    hint: str = ""
    """shown when the first run begins"""
    moving: bool = False
    """whether the view moved by itself at the last tick"""
    lead: int = 0
    """the position that the view goes to as soon as it is recorded; 0: none"""
    check: Check | str | None = None
    """how well the model knows a short text, or why that is unknown"""
    causal: bool = False
    """whether the last model predicted from the left alone"""
    retries: Retries = field(default_factory=Retries)
    observed: Observed = field(default_factory=Observed)

    # -- the phase

    @property
    def live(self) -> bool:
        return isinstance(self.phase, Live)

    @property
    def alive(self) -> bool:
        """Whether there is an engine process."""
        return not isinstance(self.phase, Dead | Lost) and not (isinstance(self.phase, Failed) and self.phase.final)

    @property
    def loaded(self) -> bool:
        """Whether the engine has the model of `choice`."""
        match self.phase:
            case Live() | Recomputing():
                return True
            case Starting(loaded=loaded) | Failed(loaded=loaded):
                return loaded
            case _:
                return False

    @property
    def progress(self) -> Progress | None:
        phase = self.phase
        return phase.progress if isinstance(phase, Starting | Loading | Recomputing) else None

    @property
    def waiting(self) -> bool:
        """Whether something long is under way that can be cancelled."""
        return self.progress is not None or isinstance(self.phase, Lost)

    @property
    def failure(self) -> str | None:
        """Why nothing is on screen."""
        phase = self.phase
        return phase.reason if self.running is None and isinstance(phase, Dead | Failed) else None

    @property
    def over(self) -> bool:
        """Whether there is nothing to stay for."""
        return isinstance(self.phase, Dead | Failed) and self.phase.final

    # -- the records

    def length(self, branch: int) -> int:
        """Return how many steps of a branch are recorded."""
        return self.observed.lengths.get(branch, 0)

    @property
    def order(self) -> list[int]:
        """The branches as the tree lists them."""
        return [row.branch.id for row in tree(self.observed.tree)]

    @property
    def recorded(self) -> int:
        """How many positions the view can go to; with panes, how far all have come that can go on."""
        if self.running is None:
            return 0
        if not self.panes.panes:
            return self.length(self.branch)
        going = self.going
        return min(going) if going else max(self.length(pane.branch) for pane in self.panes.panes)

    @property
    def position(self) -> int:
        """Where the view stands in the record on screen."""
        return min(self.player.position, self.length(self.branch))

    @property
    def past(self) -> bool:
        """Whether steps are recorded after the one on screen."""
        if not self.panes.panes:
            return not self.player.live
        # while the clock runs, the engine is a little ahead of it
        come = self.length(self.panes.focus)
        return come - min(self.player.position, come) > (AHEAD if self.player.playing and self.player.live else 0)

    @property
    def ended(self) -> bool:
        """Whether no pane has a step left."""
        return not self.observed.writable or all(pane.branch in self.branches.ended for pane in self.panes.panes)

    @property
    def going(self) -> tuple[int, ...]:
        """How far those panes have come that have steps left."""
        if not (self.live or self.panes.again) or not self.observed.writable:
            return ()
        return tuple(self.length(pane.branch) for pane in self.panes.panes if pane.branch not in self.branches.ended)

    @property
    def uneven(self) -> bool:
        """Whether a pause has come between the steps of two panes, and the one behind is to be sent on."""
        player, going = self.player, self.going
        paused = self.panes.loose and player.live and not player.playing and not player.stepping
        return paused and bool(going) and max(going) - min(going) == 1 and going != self.panes.levelled

    def pane(self, branch: int) -> Pane:
        return next(pane for pane in self.panes.panes if pane.branch == branch)

    def letter(self, branch: int) -> str:
        """Return the name of a branch's pane; empty if it has none."""
        return next((letter for letter, pane in zip(LETTERS, self.panes.panes) if pane.branch == branch), "")
