"""Branches side by side as the screen shows them, and what people do with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.debug.findings import Hit
from engine.records import Settings
from engine.sampling.trace import Record
from remdm_tui.watch import events as e
from remdm_tui.watch.breakpoints import Breakpoints
from remdm_tui.watch.pane_reducer import settings_of, why_unfit
from remdm_tui.watch.state import LETTERS, MOST, Pane, SessionState
from remdm_tui.watch.store import Store

__all__ = ["LETTERS", "MOST", "Pane", "PaneGroup"]


class PaneGroup:
    """Reads the state and dispatches events; what they change is in `pane_reducer`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def panes(self) -> tuple[Pane, ...]:
        return self._store.state.panes.panes

    @property
    def focus(self) -> int:
        """The branch whose knobs are turned."""
        return self._store.state.panes.focus

    @property
    def index(self) -> int:
        """Which pane has the focus; 0 without panes."""
        return next((i for i, pane in enumerate(self.panes) if pane.branch == self.focus), 0)

    def letter(self, branch: int) -> str:
        """Return the name of a branch's pane; empty if it has none."""
        return self._store.state.letter(branch)

    def position(self, record: Record) -> int:
        """Return where the clock stands in a pane."""
        return min(self._store.state.player.position, len(record))

    def settings(self, pane: Pane) -> Settings:
        """Return the settings that decide the step after the one on screen."""
        at = self.position(pane.record)
        frame = pane.record.frame(at + 1) if at < len(pane.record) else None
        return settings_of(self._store.look(), pane) if frame is None else frame.settings

    def different(self, pane: Pane) -> NDArray[np.bool_] | None:
        """bool [L]: where a pane differs from the one that has the focus, and that from the one it is compared with."""
        state = self._store.state
        against, sample = state.branches.against, state.sample
        if against is None or not self.letter(against):
            return None
        one, two = pane.record, state.pane(against if pane.branch == self.focus else self.focus).record
        there: NDArray[np.bool_] = one.tokens(self.position(one), sample) != two.tokens(self.position(two), sample)
        return there

    # -- what people do

    def open(self) -> bool:
        """Put the branches side by side; return whether there are several."""
        state = self._store.look()
        if len(state.order) < 2 or state.branch not in state.order:
            return False
        self._store.dispatch(e.OpenPanes())
        return True

    def add(self, settings: Settings) -> None:
        """Begin another branch at the start, in a pane.  Raises ValueError if that is impossible."""
        state = self._store.look()
        if len(self.panes) == MOST:
            raise ValueError(f"{MOST} panes are all there is room for: c closes them")
        if not state.live or not state.observed.writable:
            raise ValueError("there is no engine here to go on with a branch")
        if complaint := why_unfit(state, settings):
            raise ValueError(complaint)
        before = len(state.observed.tree)
        self._store.dispatch(e.AddPane(settings))
        if len(self._store.look().observed.tree) == before:
            raise ValueError(self._store.state.notice.text)

    def close(self) -> None:
        """Show the branch that has the focus alone."""
        self._store.dispatch(e.ClosePanes())

    def turn(self, by: int) -> None:
        """Give the focus to the pane so many further."""
        self.look_at(self.panes[(self.index + by) % len(self.panes)].branch)

    def look_at(self, branch: int) -> None:
        """Give the focus to the pane of a branch."""
        self._store.dispatch(e.FocusPane(branch))

    def next_branch(self, by: int) -> bool:
        """Put another branch into the pane that has the focus; return whether there is one without a pane."""
        order = self._store.look().order
        if self.focus not in order:
            return False
        at = order.index(self.focus)
        turned = (order[(at + by * i) % len(order)] for i in range(1, len(order)))
        new = next((branch for branch in turned if not self.letter(branch)), None)
        if new is not None:
            self._store.dispatch(e.PutInPane(new))
        return new is not None


def first_hits(state: SessionState, stops: Breakpoints, before: int) -> tuple[tuple[Hit, ...], int]:
    """Return the first breakpoints hit by the recorded steps that the view has moved through, and in which branch."""
    panes = state.panes.panes
    if not panes:
        return ((), 0) if state.record is None else (
            stops.hit(state.record, before, state.player.position), state.branch
        )  # fmt: skip
    found = []
    for pane in panes:
        hits = stops.hit(pane.record, before, min(state.player.position, len(pane.record)))
        found += [(hits, pane.branch)] if hits else []
    return min(found, key=lambda one: one[0][0].step, default=((), 0))
