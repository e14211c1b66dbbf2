"""The tree of branches: start, difference and length of each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static

from engine.debug.branches import Row
from remdm_tui.render.shorten import fit


class BranchTree(Static):
    """One line per branch, with marks on the one on screen and the one it is compared with.

    Posts `BranchChosen` on a click.
    """

    DEFAULT_CSS = "BranchTree { height: auto; }"
    ROWS = 8
    """lines at most; those around the branch on screen"""
    _lines = 0

    class BranchChosen(Message):
        """A branch was clicked."""

        def __init__(self, branch: int) -> None:
            super().__init__()
            self.branch = branch

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._listed: tuple[int, ...] = ()

    def show(self, rows: Sequence[tuple[Row, str, int]], here: int, against: int | None) -> None:
        """Draw rows of the tree, each with its difference and its number of steps."""
        width = self.size.width or 30
        at = next((i for i, (row, _, _) in enumerate(rows) if row.branch.id == here), 0)
        first = max(0, min(at - self.ROWS // 2, len(rows) - self.ROWS))
        self._listed = tuple(row.branch.id for row, _, _ in rows[first : first + self.ROWS])
        text = Text(no_wrap=True)
        for row, what, steps in rows[first : first + self.ROWS]:
            number = row.branch.id
            mark = (">" if self._ascii else "►") if number == here else "=" if number == against else " "
            where = f" at {row.branch.at}" if row.branch.parent is not None else ""
            left, right = f"{mark} {self._rails(row)}{number}{where} {what}", f" {steps}"
            left = fit(left, max(4, width - cell_len(right)), self._ascii)
            text.append(f"{left}{right}\n", "bold" if number == here else "")
        text.rstrip()
        lines = 1 + text.plain.count("\n")
        # a new layout of the screen costs more than all that is drawn here
        self.update(text, layout=lines != self._lines)
        self._lines = lines

    def on_click(self, event: events.Click) -> None:
        if 0 <= event.y < len(self._listed):
            self.post_message(self.BranchChosen(self._listed[event.y]))

    def _rails(self, row: Row) -> str:
        if row.branch.parent is None:
            return ""
        through, corner, fork = ("| ", "`-", "|-") if self._ascii else ("│ ", "└─", "├─")
        ancestors = "".join(through if more else "  " for more in row.rails[1:])
        return ancestors + (corner if row.last else fork)
