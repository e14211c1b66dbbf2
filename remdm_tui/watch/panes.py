"""Branches side by side on one clock: which they are, how far they have come together, and how they begin anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine import wire
from engine.debug.branches import tree
from engine.debug.findings import Hit
from engine.records import Branch, Settings
from engine.sampling.trace import Record
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.base import Event
from remdm_tui.settings.watch_options import CAUSAL_STRATEGY
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.player import AHEAD, Demand, Player
from remdm_tui.watch.run_recording import said

if TYPE_CHECKING:
    from remdm_tui.watch.session import WatchSession

LETTERS = "ABCD"
"""What the panes are called."""
MOST = len(LETTERS)


@dataclass(frozen=True, eq=False)
class Pane:
    """One branch beside others; its record is held on to while another run begins."""

    branch: int
    record: Record


class PaneGroup:
    """Without panes there is one branch on screen.

    The clock is the view's player: its position is that of every pane, and a pane that has ended before stands at its
    end.  An edit is a step of the clock: the other panes take theirs.
    """

    def __init__(self, watching: WatchSession) -> None:
        self._watching = watching
        self.panes: tuple[Pane, ...] = ()
        self.focus = 0
        """the branch whose knobs are turned; the link's own once the engine stands there"""
        self._wanted: tuple[Settings, ...] = watching.options.compare
        """panes that the next run is to have besides its own"""
        self._at = 0
        """which of all these has the focus then"""
        self._asked: deque[int] = deque()
        """branches whose beginning the engine has yet to answer"""
        self._loose = False
        """whether something may have come between the steps of two panes: a pause, a breakpoint or an edit"""
        self._levelled: list[int] = []
        """how far the panes had come when the one behind was last sent on"""
        self._again = False
        """whether the recorded steps of a pane are being computed again"""

    # -- the clock

    @property
    def recorded(self) -> int:
        """How far all panes have come that can go on; without such, the longest."""
        going = self._going()
        return min(going) if going else max(len(pane.record) for pane in self.panes)

    @property
    def ended(self) -> bool:
        """Whether no pane has a step left."""
        branching = self._watching.debug.branching
        return not self._watching.tape.writable or all(branching.has_ended(pane.branch) for pane in self.panes)

    @property
    def past(self) -> bool:
        """Whether the pane that has the focus has steps recorded after that on screen."""
        player, record = self._watching.player, self._pane(self.focus).record
        # while the clock runs, the engine is a little ahead of it
        return len(record) - self.position(record) > (AHEAD if player.playing and player.live else 0)

    @property
    def uneven(self) -> bool:
        """Whether a pause has come between the steps of two panes, and the one behind is to be sent on."""
        player, going = self._watching.player, self._going()
        paused = self._loose and player.live and not player.playing and not player.stepping
        return paused and bool(going) and max(going) - min(going) == 1 and going != self._levelled

    def position(self, record: Record) -> int:
        """Where the clock stands in a pane."""
        return min(self._watching.player.position, len(record))

    def demand(self, wanted: Demand, known: int) -> tuple[int, bool, int]:
        """Arguments of `Link.demand` for what the clock wants, when so much was known to be recorded."""
        self._loose = self._loose or self._watching.player.playing
        if not self.panes or wanted.renew:
            return wanted.steps, wanted.renew, known
        going, target = self._going(), self._watching.player.recorded + wanted.steps
        if not wanted.steps:
            if not self.uneven or self._watching.link.outstanding:
                # so that of panes that are far apart none is sent on when it comes near
                self._loose = self._loose and bool(going) and max(going) - min(going) < 2
                return 0, False, 0
            self._levelled, target = going, max(going)
            self._watching.debug.lead(target)
        return sum(max(0, target - come) for come in going), False, sum(going)

    def loosen(self) -> None:
        """A breakpoint or an edit has come between the steps of two panes."""
        self._loose = True

    def _going(self) -> list[int]:
        """How far those panes have come that have steps left."""
        watching = self._watching
        if not (watching.live or self._again) or not watching.tape.writable:
            return []
        return [len(pane.record) for pane in self.panes if not watching.debug.branching.has_ended(pane.branch)]

    def _set_clock(self) -> None:
        """The panes are others than before."""
        player, recorded = self._watching.player, self.recorded
        self._watching.player = Player(
            min(player.position, recorded), recorded, player.playing, player.speed, ended=self.ended
        )
        self._levelled, self._loose = [], False

    # -- what is in the panes

    @property
    def index(self) -> int:
        """Which pane has the focus; 0 without panes."""
        return next((i for i, pane in enumerate(self.panes) if pane.branch == self.focus), 0)

    def letter(self, branch: int) -> str:
        """What a branch's pane is called; empty where it has none."""
        return next((letter for letter, pane in zip(LETTERS, self.panes) if pane.branch == branch), "")

    def settings(self, pane: Pane) -> Settings:
        """Those that decide the step after the one on screen."""
        at = self.position(pane.record)
        frame = pane.record.frame(at + 1) if at < len(pane.record) else None
        return self._set(pane) if frame is None else frame.settings

    def _set(self, pane: Pane) -> Settings:
        """Those that were set last."""
        watching = self._watching
        if pane.branch == self.focus:
            return watching.settings
        left, last = watching.debug.branching.left(pane.branch), pane.record.frame(len(pane.record))
        return left or (watching.settings if last is None else last.settings)

    def different(self, pane: Pane) -> NDArray[np.bool_] | None:
        """bool [L]: where it differs from the pane that has the focus, and that from the one it is compared with."""
        against, sample = self._watching.debug.branching.against, self._watching.sample
        if against is None or not self.letter(against):
            return None
        one, two = pane.record, self._pane(against if pane.branch == self.focus else self.focus).record
        there: NDArray[np.bool_] = one.tokens(self.position(one), sample) != two.tokens(self.position(two), sample)
        return there

    def _pane(self, branch: int) -> Pane:
        return next(pane for pane in self.panes if pane.branch == branch)

    def hit(self, before: int) -> tuple[tuple[Hit, ...], int]:
        """The first breakpoints hit by recorded steps that the view has moved through, and in which branch."""
        found = []
        for pane in self.panes:
            hits = self._watching.debug.stops.hit(pane.record, before, self.position(pane.record))
            found += [(hits, pane.branch)] if hits else []
        return min(found, key=lambda one: one[0][0].step, default=((), 0))

    # -- what people do

    def open(self) -> bool:
        """Put the branches side by side; whether there are several."""
        watching = self._watching
        order = [row.branch.id for row in tree(watching.tape.branches)]
        if len(order) < 2:
            return False
        here = watching.link.branch
        first = max(0, min(order.index(here) - 1, len(order) - MOST))
        self.panes = tuple(Pane(branch, self._record(branch)) for branch in order[first : first + MOST])
        self.focus = here
        if len(order) > MOST:
            text = f"{MOST} of {len(order)} branches are shown: z puts another in the pane"
            watching.notice = Notice(text, passing=True)
        self.assemble()
        self._set_clock()
        return True

    def add(self, settings: Settings) -> None:
        """Another pane, a branch that begins at the start.  Raises ValueError where there can be none."""
        watching = self._watching
        if len(self.panes) == MOST:
            raise ValueError(f"{MOST} panes are all there is room for: c closes them")
        if not watching.live or not watching.tape.writable:
            raise ValueError("there is no engine here to go on with a branch")
        self._check(settings)
        self._begin((settings,))

    def close(self) -> None:
        """The pane that has the focus alone."""
        watching, branch = self._watching, self.focus
        self.panes, self._wanted = (), ()
        if watching.live and watching.tape.writable:
            watching.link.together(())
            watching.debug.branching.moving = True
        player, recorded = watching.player, watching.recorded
        ended = not watching.tape.writable or watching.debug.branching.has_ended(branch)
        playing = player.playing and not (ended and player.position >= recorded)
        watching.player = Player(min(player.position, recorded), recorded, playing, player.speed, ended)

    def turn(self, by: int) -> None:
        """Give the focus to the pane so many further."""
        self.look_at(self.panes[(self.index + by) % len(self.panes)].branch)

    def look_at(self, branch: int) -> None:
        """Give the focus to a pane."""
        if branch != self.focus:
            self._watching.debug.branching.leave()
            self._move(branch)
            self._stand(self._watching.live)

    def next_branch(self, by: int) -> bool:
        """Put another branch into the pane that has the focus; whether there is one without a pane."""
        order = [row.branch.id for row in tree(self._watching.tape.branches)]
        at = order.index(self.focus)
        turned = (order[(at + by * i) % len(order)] for i in range(1, len(order)))
        new = next((branch for branch in turned if not self.letter(branch)), None)
        if new is not None:
            self._watching.debug.branching.leave()
            self.put(new, self._record(new))
        return new is not None

    def put(self, branch: int, record: Record) -> None:
        """Show a branch in place of the one that has the focus."""
        new = Pane(branch, record)
        self.panes = tuple(new if pane.branch == self.focus else pane for pane in self.panes)
        self._move(branch)
        self.assemble()
        self._set_clock()

    def _move(self, branch: int) -> None:
        """The focus goes to a pane, whose knobs are then those on the panel."""
        debug, before = self._watching.debug, self.focus
        settings = self._set(self._pane(branch))
        self.focus = branch
        debug.inspector.asking = False
        debug.inspector.opinion = None
        if debug.branching.against == branch:
            debug.branching.against = before if self.letter(before) else None
        self._watching.settings = settings

    # -- the engine

    def assemble(self, *, resumed: bool = False) -> bool:
        """Have the engine step all panes; whether it must first compute the recorded steps of one again.

        resumed: it stands where a record ends, and nobody knows yet.
        """
        watching, link, self._again = self._watching, self._watching.link, False
        if not self.panes:
            return False
        there = watching.live or resumed
        if there and watching.tape.writable:
            known = [pane.branch for pane in self.panes if link.record(pane.branch) is not None]
            for pane in self.panes:
                if pane.branch not in known:
                    link.recall(Branch(pane.branch, known[0], 0), pane.record, self._set(pane))
                    if len(pane.record):
                        self._again = True
                        watching.hold(len(pane.record))
                        return True
            link.together([pane.branch for pane in self.panes])
        self._stand(there)
        return False

    def _stand(self, there: bool) -> None:
        """Stand in the branch that has the focus, and the engine with the view if it is there."""
        link = self._watching.link
        if there:
            link.switch(self.focus)
            self._watching.debug.branching.moving = True
        else:
            link.trace, link.branch = self._pane(self.focus).record, self.focus

    def keep(self) -> None:
        """Another run is to begin, with the same panes."""
        if self.panes:
            settings = tuple(self._set(pane) for pane in self.panes)
            self._wanted, self._at = settings[1:], self.index
            self._watching.settings = settings[0]

    def afresh(self) -> None:
        """A run has begun that does not go on with a record."""
        self.panes, self._again = (), False
        self._asked.clear()

    def begin(self) -> None:
        """Begin the panes that the new run is to have."""
        wanted, watching = self._wanted, self._watching
        self._wanted = ()
        fitting: list[Settings] = []
        for settings in wanted:
            try:
                self._check(settings)
                fitting.append(settings)
            except ValueError as error:
                watching.notice = Notice(str(error), error=True)
        if fitting:
            try:
                self._begin(fitting)
            except ValueError as error:
                watching.notice = Notice(str(error), error=True)
            if self._at < len(self.panes):
                self.look_at(self.panes[self._at].branch)
        self._at = 0

    def _check(self, settings: Settings) -> None:
        """Raises ValueError for a strategy that the model cannot be run by."""
        model = self._watching.model
        if model is not None and model.causal and settings.strategy != CAUSAL_STRATEGY:
            raise ValueError(
                f"{model.name} predicts from the left alone: {settings.strategy} has no pane, {CAUSAL_STRATEGY} can"
            )

    def _begin(self, several: Sequence[Settings]) -> None:
        """Branches from the start, each in a pane.  Raises ValueError where one cannot be recorded."""
        watching, here = self._watching, self._watching.link.branch
        if not self.panes:
            self.panes, self.focus = (Pane(here, self._record(here)),), here
        watching.debug.branching.leave()
        try:
            for settings in several:
                branch, record = watching.tape.fork(here, 0)
                watching.link.fork(branch, record, settings)
                watching.debug.branching.begun(branch.id, settings)
                self._asked.append(branch.id)
                self.panes += (Pane(branch.id, record),)
        except (ValueError, OSError) as error:
            raise ValueError(f"no branch could be begun: {said(error)}") from None
        finally:
            self._gather()

    def _gather(self) -> None:
        """Step the panes that there are; one alone is none."""
        if len(self.panes) > 1:
            self.assemble()
            self._set_clock()
        else:
            self._stand(self._watching.live)
            self.close()

    def hear(self, event: Event) -> bool:
        """Whether it was the answer to a pane's beginning, or follows from a refusal of one."""
        match event:
            case wire.Stands(branch=branch) if self._asked and self._asked[0] == branch:
                self._asked.popleft()
            case wire.Rejected(reason, "Fork") if self._asked:
                refused = self._asked.popleft()
                self.panes = tuple(pane for pane in self.panes if pane.branch != refused)
                self._gather()
                self._watching.notice = Notice(sanitize(reason, cells=True), error=True)
                return True
            case wire.Rejected(_, "Together"):
                return True
        return False

    def _record(self, branch: int) -> Record:
        return self._watching.link.record(branch) or self._watching.tape.record(branch)
