"""Panes as the screen shows them, and the actions on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.debug.findings import Hit
from engine.records import Settings
from engine.sampling.trace import Record
from remdm_tui.link.replay import READ_ONLY
from remdm_tui.watch import events as e
from remdm_tui.watch.breakpoints import Conditions
from remdm_tui.watch.key_names import key
from remdm_tui.watch.pane_reducer import last_settings, why_unfit
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
        """The branch that the knobs act on."""
        return self._store.state.panes.focus

    @property
    def index(self) -> int:
        """Which pane has the focus; 0 without panes."""
        return next((i for i, pane in enumerate(self.panes) if pane.branch == self.focus), 0)

    def letter(self, branch: int) -> str:
        """Return the name of a branch's pane; empty if it has none."""
        return self._store.state.letter(branch)

    def position(self, record: Record) -> int:
        """Return the position of the clock in the record of a pane."""
        return min(self._store.state.player.position, len(record))

    def settings(self, pane: Pane) -> Settings:
        """Return the settings of the step after the one on screen."""
        at = self.position(pane.record)
        frame = pane.record.frame(at + 1) if at < len(pane.record) else None
        return last_settings(self._store.observe(), pane) if frame is None else frame.settings

    def different(self, pane: Pane) -> NDArray[np.bool_] | None:
        """Return where a pane differs from the one with the focus, or that one from `against`; bool [L]."""
        state = self._store.state
        against, sample = state.branches.against, state.sample
        if against is None or not self.letter(against):
            return None
        one, two = pane.record, state.pane(against if pane.branch == self.focus else self.focus).record
        differs: NDArray[np.bool_] = one.tokens(self.position(one), sample) != two.tokens(self.position(two), sample)
        return differs

    # -- actions

    def open(self) -> bool:
        """Show the branches side by side; return whether there are several."""
        state = self._store.observe()
        if len(state.order) < 2 or state.branch not in state.order:
            return False
        self._store.dispatch(e.OpenPanes())
        return True

    def add(self, settings: Settings) -> None:
        """Begin a branch at the start, in a new pane.  Raises ValueError if that is impossible."""
        state = self._store.observe()
        if len(self.panes) == MOST:
            raise ValueError(f"All {MOST} panes are in use ({key('compare')}: close them)")
        if not state.live or not state.observed.writable:
            raise ValueError(READ_ONLY)
        if problem := why_unfit(state, settings):
            raise ValueError(problem)
        count = len(state.observed.tree)
        self._store.dispatch(e.AddPane(settings))
        if len(self._store.observe().observed.tree) == count:
            raise ValueError(self._store.state.notice.text)

    def close(self) -> None:
        """Show only the branch with the focus."""
        self._store.dispatch(e.ClosePanes())

    def turn(self, by: int) -> None:
        """Move the focus by `by` panes."""
        self.look_at(self.panes[(self.index + by) % len(self.panes)].branch)

    def look_at(self, branch: int) -> None:
        """Move the focus to the pane of a branch."""
        self._store.dispatch(e.FocusPane(branch))

    def next_branch(self, by: int) -> bool:
        """Show the next branch without a pane in the one with the focus; return whether there is one."""
        order = self._store.observe().order
        if self.focus not in order:
            return False
        at = order.index(self.focus)
        others = (order[(at + by * i) % len(order)] for i in range(1, len(order)))
        new = next((branch for branch in others if not self.letter(branch)), None)
        if new is not None:
            self._store.dispatch(e.PutInPane(new))
        return new is not None


def first_hits(state: SessionState, conditions: Conditions, start: int) -> tuple[tuple[Hit, ...], int]:
    """Return the breakpoints that the first step between `start` and the view hits, and its branch."""
    panes = state.panes.panes
    if not panes:
        return ((), 0) if state.record is None else (
            conditions.hit(state.breakpoints, state.record, start, state.player.position), state.branch
        )  # fmt: skip
    found = []
    for pane in panes:
        hits = conditions.hit(state.breakpoints, pane.record, start, min(state.player.position, len(pane.record)))
        found += [(hits, pane.branch)] if hits else []
    return min(found, key=lambda one: one[0][0].step, default=((), 0))
