"""Two runs beside each other: their figures, and their texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from remdm_tui.console.sanitize import sanitize
from remdm_tui.screens.overlay import OverlayScreen
from remdm_tui.watch.left_runs import RunSummary


class CompareRunsScreen(OverlayScreen[None]):
    """Shows the last step of both runs."""

    BINDINGS = [Binding("escape,q,c,enter", "dismiss", "Close")]
    DEFAULT_CSS = """
    CompareRunsScreen { align: center middle; }
    CompareRunsScreen > VerticalScroll {
        width: 96%; height: 92%; border: round $line-text; padding: 0 1; background: $surface;
    }
    CompareRunsScreen.ascii > VerticalScroll { border: ascii $line-text; }
    CompareRunsScreen Static { height: auto; }
    CompareRunsScreen Horizontal { height: auto; margin-top: 1; }
    CompareRunsScreen Horizontal > Static { width: 1fr; padding: 0 1; }
    """

    def __init__(self, runs: Sequence[tuple[str, RunSummary, str]], ascii_only: bool) -> None:
        """runs: the name of each of two runs, its summary, and its text."""
        super().__init__(classes="ascii" if ascii_only else "")
        self._runs, self._ascii = runs, ascii_only

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "two runs - esc closes"
            yield Static(self._figures())
            with Horizontal():
                for name, _, text in self._runs:
                    shown = sanitize(text, lines=True, joiners=True, ascii_only=self._ascii)
                    yield Static(Text.assemble((f"{name}\n", "bold underline"), shown))

    def set_up(self) -> None:
        self.query_one(VerticalScroll).focus()

    def _figures(self) -> Table:
        table = Table.grid(padding=(0, 3))
        table.add_row("", *(Text(name, style="bold") for name, _, _ in self._runs))
        columns = [_figures(summary) for _, summary, _ in self._runs]
        for label in columns[0]:
            cells = (sanitize(column[label], cells=True, ascii_only=self._ascii) for column in columns)
            table.add_row(Text(label, style="italic"), *(Text(cell) for cell in cells))
        return table


def _figures(summary: RunSummary) -> dict[str, str]:
    """Return the figures of a run by label."""
    return {
        "model": summary.model,
        "strategy": summary.strategy or "-",
        "seed": str(summary.seed),
        "steps": str(summary.steps),
        "remasks": f"{summary.remasks:.4g}",
        "NFE": str(summary.calls),
        "entropy": "-" if math.isnan(summary.entropy) else f"{summary.entropy:.3f}",
    }
