"""The branches of a run as the screen shows them: the tree, and the differences between two of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.debug.branches import FirstDifference, Row, first_difference, shared_steps, tree
from engine.records import SHARED, Branch, Settings
from engine.sampling.trace import Record
from remdm_tui.settings.knobs import knob_text
from remdm_tui.watch import events as e
from remdm_tui.watch.panes import PaneGroup
from remdm_tui.watch.state import SessionState
from remdm_tui.watch.store import Store
from remdm_tui.watch.transitions import settings_at


class BranchSet:
    """Reads the state and dispatches events; what they change is in `branch_reducer`."""

    def __init__(self, store: Store, panes: PaneGroup) -> None:
        self._store, self._panes = store, panes

    @property
    def current(self) -> int:
        """The branch on screen."""
        return self._store.state.branch

    @property
    def against(self) -> int | None:
        """The branch that the one on screen is compared with."""
        return self._store.state.branches.against

    @property
    def switching(self) -> bool:
        """Whether the engine has yet to confirm that it is in the branch on screen."""
        return self._store.state.branches.switching

    def has_ended(self, branch: int) -> bool:
        """Return whether a branch has no next step."""
        return branch in self._store.state.branches.ended

    def rows(self) -> list[tuple[Row, str, int]]:
        """Return the rows of the tree, each with the settings that the branch changed and its number of steps."""
        state, rows = self._store.observe(), []
        for row in tree(state.observed.tree):
            branch = row.branch.id
            label = " ".join(filter(None, (state.letter(branch), _label(state, row.branch))))
            rows.append((row, label, state.length(branch)))
        return rows

    # -- going to another branch

    def branch_off(self) -> bool:
        """Begin a branch at the position on screen, with the settings in force there; return whether that worked."""
        count = len(self._store.observe().observed.tree)
        self._store.dispatch(e.BranchOff())
        return len(self._store.observe().observed.tree) > count

    def turn(self, by: int) -> bool:
        """Go to the branch `by` rows down the tree; return whether there are several."""
        state = self._store.observe()
        if state.panes.panes:
            if not self._panes.next_branch(by):
                self._panes.turn(by)
            return True
        order = state.order
        if len(order) > 1 and self.current in order:
            self._store.dispatch(e.ShowBranch(order[(order.index(self.current) + by) % len(order)]))
        return len(order) > 1

    def show(self, branch: int) -> None:
        """Show a branch; with panes, in the pane that has it or in the one with the focus."""
        state = self._store.observe()
        if not state.panes.panes:
            if branch != self.current:
                self._store.dispatch(e.ShowBranch(branch))
        elif state.letter(branch):
            self._panes.look_at(branch)
        else:
            self._store.dispatch(e.PutInPane(branch))

    # -- comparing two branches

    def compare(self) -> bool:
        """Start comparing with the previous branch or the parent, or stop; return whether there is another branch."""
        state = self._store.observe()
        if self.against is not None:
            self._store.dispatch(e.Compare(None))
            return True
        parents = {branch.id: branch.parent for branch in state.observed.tree}
        others: list[int | None] = [pane.branch for pane in state.panes.panes]
        others = others or [state.branches.previous, parents.get(self.current), *parents]
        against = next((one for one in others if one is not None and one != self.current), None)
        self._store.dispatch(e.Compare(against))
        return against is not None

    def _compared(self) -> tuple[Record, Record] | None:
        """Return the record on screen and that of the other branch."""
        state = self._store.observe()
        other = None if self.against is None else state.observed.records.get(self.against)
        return None if state.record is None or other is None else (state.record, other)

    def different(self, position: int) -> NDArray[np.bool_] | None:
        """Return where the sample on screen differs from the other branch, bool [L]; None if that is shorter."""
        compared, sample = self._compared(), self._store.state.sample
        if compared is None or position > len(compared[1]):
            return None
        one, other = compared
        tokens: NDArray[np.bool_] = one.tokens(position, sample) != other.tokens(position, sample)
        return tokens

    def first_difference(self) -> FirstDifference | None:
        """Return where the two branches first differ; None if no two are compared."""
        compared = self._compared()
        if compared is None or self.against is None:
            return None
        one, other = compared
        joint = shared_steps(
            {branch.id: branch for branch in self._store.state.observed.tree}, self.current, self.against
        )
        return first_difference(one.frame, other.frame, min(len(one), len(other)), shared=joint)


def _label(state: SessionState, branch: Branch) -> str:
    """Return the settings that the first own step of a branch changes."""
    record, length = state.observed.records[branch.id], state.length(branch.id)
    changed = record.settings()
    own = settings_at(changed, branch.at) if length > branch.at else state.branches.settings.get(branch.id)
    if branch.id == state.branch and length <= branch.at:
        own = state.settings
    before = settings_at(changed, branch.at - 1)
    if not branch.at and branch.parent is not None:
        # a branch that shares no step is compared with its parent's first step
        before = settings_at(state.observed.records[branch.parent].settings(), 0)
        return describe_changes(before, own) or describe_changes(None, own)
    return describe_changes(before, own)


def describe_changes(before: Settings | None, after: Settings | None) -> str:
    """Return the settings that differ, in short form."""
    if before is None or after is None or before == after:
        return "" if after is None or before is not None else after.strategy
    parts = [after.strategy] if before.strategy != after.strategy else []
    parts += [f"{name}={knob_text(value)}" for name, value in after.knobs.items() if before.knobs.get(name) != value]
    for name in SHARED:
        if getattr(before, name) != getattr(after, name):
            parts.append(f"{name}={knob_text(getattr(after, name))}")
    return " ".join(parts)
