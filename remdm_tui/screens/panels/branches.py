"""The tree of branches with its keys."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.binding import Binding

from engine.text.counts import counted
from remdm_tui.screens.panels.controls import Controls, needs_run
from remdm_tui.widgets.branch_tree import BranchTree

BRANCHES = (
    Binding("f", "branch", "Branch off here", id="branch", tooltip="Fork a branch here, with the knobs of this step"),
    Binding("z", "turn_branch(1)", "Next branch", id="branch-next", tooltip="Show the next branch of the tree"),
    Binding("Z", "turn_branch(-1)", "Previous branch", id="branch-previous", tooltip="Show the branch before"),
    Binding("d", "compare", "Differences", id="differences", tooltip="Mark what differs from another branch"),
    Binding(
        "D",
        "first_difference",
        "First difference",
        id="first-difference",
        tooltip="Go to where two branches first differ",
    ),
)
ONE_BRANCH = "Only one branch. Step back and change a knob to fork"


class BranchesPanel(BranchTree, can_focus=True):
    """Forks branches, switches between them, and compares two."""

    BINDINGS = [*BRANCHES]
    NAME = "branches"

    def __init__(self, controls: Controls, look_at: Callable[[int], None]) -> None:
        """look_at: select a position of the text."""
        super().__init__(ascii_only=controls.options.ascii, id="branches")
        self.controls, self.session, self._look_at = controls, controls.session, look_at

    @on(BranchTree.BranchChosen)
    def _chosen(self, event: BranchTree.BranchChosen) -> None:
        self.session.debug.branches.show(event.branch)
        self.controls.wake()

    @needs_run
    def action_branch(self) -> None:
        if obstacle := self.controls.obstacle:
            self.controls.say(obstacle)
        elif self.session.debug.branches.branch_off():
            self.controls.wake()

    @needs_run
    def action_turn_branch(self, by: int) -> None:
        if not self.session.debug.branches.turn(by):
            self.controls.say(ONE_BRANCH)
        self.controls.wake()

    @needs_run
    def action_compare(self) -> None:
        if not self.session.debug.branches.compare():
            self.controls.say(ONE_BRANCH)
        else:
            self._report_differences()
        self.controls.wake()

    def _report_differences(self) -> None:
        """Say how much of the step on screen differs, which may be nothing that can be seen."""
        session, branching = self.session, self.session.debug.branches
        if branching.against is None:
            self.controls.say("Differences are not marked any more", "note")
            return
        different = branching.different(session.position)
        where = f"branch {branching.against}"
        if different is None:
            self.controls.say(f"{where.capitalize()} ends before this step", "note")
        else:
            count = counted(int(different.sum()), "position differs", "positions differ")
            self.controls.say(f"{count} from {where}", "note")

    @needs_run
    def action_first_difference(self) -> None:
        """Go to the step and the position at which the two branches first differ."""
        session, branches = self.session, self.session.debug.branches
        if branches.against is None:
            self.action_compare()
        if branches.against is None:
            return
        found = branches.first_difference()
        if found is None:
            same = f"Branches {branches.current} and {branches.against} are equal so far"
            self.controls.say(same, "note")
            return
        session.sample = found.sample
        self.controls.seek(found.step)
        self._look_at(found.position)
        where = f"step {found.step}, position {found.position}"
        self.controls.say(f"Branches {branches.current} and {branches.against} first differ at {where}", "note")
