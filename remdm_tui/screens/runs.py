"""The list of the session's runs: open, compare, record and delete those that were left."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.shorten import shorten
from remdm_tui.screens.line import LineScreen
from remdm_tui.screens.overlay import OverlayScreen
from remdm_tui.watch.left_runs import LeftRun, RunSummary
from remdm_tui.watch.run_recording import SUFFIX

WIDEST, NARROWEST = 24, 8
"""Columns of the strategies at most and at least; longer ones end in an ellipsis."""
WIDTH, SCROLLBAR = 94, 2
"""Columns of the rows where there is room for all of them, and those of the scroll bar."""
HEADS = ("run", "strategy", "seed", "steps", "remasks", "entropy", "where")


class RunsScreen(OverlayScreen[None]):
    """Lists the live run first, then those left, the newest of them highlighted."""

    BINDINGS = [
        Binding("enter", "open", "Open", priority=True),
        Binding("c", "compare", "Compare"),
        Binding("w", "record", "Record to a file"),
        Binding("delete,d", "delete", "Delete"),
        Binding("escape,q,U", "dismiss", "Close"),
    ]
    DEFAULT_CSS = """
    RunsScreen { align: center middle; }
    RunsScreen > VerticalScroll {
        width: 100; max-width: 96%; height: auto; max-height: 92%;
        border: round $line-text; padding: 0 1; background: $surface;
    }
    RunsScreen.ascii > VerticalScroll { border: ascii $line-text; }
    RunsScreen Label { width: 1fr; height: auto; }
    RunsScreen #heads { color: $note; text-wrap: nowrap; text-overflow: clip; }
    RunsScreen OptionList { border: none; height: auto; max-height: 14; padding: 0; background: $surface; }
    RunsScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    RunsScreen.ascii OptionList { text-overflow: clip; }
    RunsScreen #message { min-height: 2; margin-top: 1; }
    """

    def __init__(
        self,
        live: Callable[[], tuple[RunSummary, str] | None],
        left: Callable[[], Sequence[LeftRun]],
        open_run: Callable[[LeftRun], None],
        compare: Callable[[LeftRun], None],
        keep: Callable[[LeftRun, str], str],
        delete: Callable[[LeftRun], None],
        keys: Mapping[str, str],
        ascii_only: bool,
    ) -> None:
        """live: the run on screen and its file.  keys: readable keys of the watch screen by id.

        open_run, compare and keep raise ValueError with the sentence to show; keep returns one.
        """
        super().__init__(classes="ascii" if ascii_only else "")
        self._live, self._left, self._keys, self._ascii = live, left, keys, ascii_only
        self._open, self._compare, self._keep, self._delete = open_run, compare, keep, delete
        self._runs: tuple[LeftRun, ...] = ()
        self._to_confirm: LeftRun | None = None
        """the run that a second key deletes"""

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = "runs - enter opens, c compares, w records, d deletes, esc closes"
            yield Label(id="heads", markup=False)
            yield OptionList(compact=True)
            yield Label(id="message", markup=False)

    def set_up(self) -> None:
        self._list_rows()
        self.query_one(OptionList).focus()

    def on_resize(self) -> None:
        if self.query(OptionList):
            self._list_rows(self._at)

    def _list_rows(self, at: int = 1) -> None:
        """Refill the list and highlight row `at`."""
        self._runs, live = tuple(reversed(self._left())), self._live()
        rows = [_cells(run.summary, run.path or "kept until you quit", self._ascii) for run in self._runs]
        rows.insert(0, ("live", *["-"] * 5, "no step yet") if live is None else _live_cells(*live, self._ascii))
        table = [HEADS, *rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(HEADS) - 1)]
        # no number is cut: the strategies give way to them
        room = self.query_one("#heads").size.width or WIDTH
        over = sum(widths) + 2 * len(widths) + SCROLLBAR - room
        widths[1] = max(NARROWEST, widths[1] - max(0, over))
        table = [(run, shorten(name, widths[1], self._ascii), *others) for run, name, *others in table]
        lines = [_row(row, widths) for row in table]
        self.query_one("#heads", Label).update(lines[0])
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(Text(line)) for line in lines[1:]])
        options.highlighted = min(at, len(rows) - 1)
        if not self._runs:
            keys = self._keys
            leave = f"{keys['restart']}, {keys['next-seed']} and {keys['model']}"
            self.say(f"No earlier run yet. {leave} keep the run that they leave here")

    def say(self, sentence: str) -> None:
        """Show a sentence below the list."""
        self.query_one("#message", Label).update(sanitize(sentence, cells=True, ascii_only=self._ascii))

    @property
    def _at(self) -> int:
        return self.query_one(OptionList).highlighted or 0

    @property
    def _run(self) -> LeftRun | None:
        """The highlighted run; None for the live one."""
        return self._runs[self._at - 1] if self._at else None

    @on(OptionList.OptionHighlighted)
    def _highlighted(self) -> None:
        if self._to_confirm is not None and self._to_confirm is not self._run:
            self._to_confirm = None
            self.say("")

    @on(OptionList.OptionSelected)
    def action_open(self) -> None:
        run = self._run
        if run is None:
            self.dismiss()
            return
        try:
            self._open(run)
        except ValueError as error:
            self.say(str(error))

    def action_compare(self) -> None:
        run = self._run
        if run is None:
            self.say("This is the live run. Highlight another to compare it with")
            return
        try:
            self._compare(run)
        except ValueError as error:
            self.say(str(error))

    def action_record(self) -> None:
        """Ask for the file to move the run to."""
        run, at = self._run, self._at
        if run is None:
            self.say(f"This is the live run: {self._keys['keep']} on its screen records it")
            return
        if run.path:
            self.say(f"Run {run.summary.number} is in {run.path} already: copy that file")
            return

        def keep(path: str) -> None:
            sentence = self._keep(run, path)
            self._list_rows(at)
            self.say(sentence)

        name = f"run-{run.summary.number}-seed-{run.summary.seed}{SUFFIX}"
        self.app.push_screen(LineScreen("record a run", "File to record to:", name, self._ascii, keep))

    def action_delete(self) -> None:
        """Delete the run, the second time that the key is pressed."""
        run, at = self._run, self._at
        if run is None:
            self.say("This is the live run. Only earlier runs can be deleted")
        elif self._to_confirm is run:
            self._to_confirm = None
            self._delete(run)
            self._list_rows(at)
            self.say(f"Run {run.summary.number} is deleted" if not run.path else f"{run.path} stays on the disk")
        else:
            self._to_confirm = run
            what = f"Take run {run.summary.number} out of the list ({run.path} stays)" if run.path else (
                f"Delete run {run.summary.number} for good"
            )  # fmt: skip
            self.say(f"{what}? Press d again to confirm")


def _cells(summary: RunSummary, where: str, ascii_only: bool) -> tuple[str, ...]:
    """Return the texts of a row."""
    name = shorten(sanitize(summary.strategy or "-", cells=True, ascii_only=ascii_only), WIDEST, ascii_only)
    entropy = "-" if math.isnan(summary.entropy) else f"{summary.entropy:.2f}"
    branches = f"{counted(summary.branches, 'branch', 'branches')}, " if summary.branches > 1 else ""
    place = sanitize(f"{branches}{where}", cells=True, ascii_only=ascii_only)
    return (str(summary.number), name, str(summary.seed), str(summary.steps), f"{summary.remasks:.4g}", entropy, place)


def _live_cells(summary: RunSummary, path: str, ascii_only: bool) -> tuple[str, ...]:
    """Return the texts of the row of the live run."""
    return _cells(summary, f"live, {path}" if path else "live", ascii_only)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return a row: words flush left, numbers flush right."""
    run, strategy, *numbers = (
        f"{cell:<{width}}" if column < 2 else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths))
    )
    return "  ".join((run, strategy, *numbers, cells[-1]))
