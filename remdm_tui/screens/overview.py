"""The table of all samples of a batch, or of all panes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding
from textual.events import Resize
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label

from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.judge import JudgeProcess
from remdm_tui.render.shorten import fit
from remdm_tui.screens.dialog import ListDialog
from remdm_tui.watch.overview import OverviewRow, columns_of, sorted_rows
from remdm_tui.widgets.line_input import LineInput

LEAST = 12
"""Columns of a text at least; a narrow table leaves out figures on its right before."""


class OverviewScreen(ListDialog[int | None]):
    """Returns the number of the chosen row, or None on escape."""

    BINDINGS = [
        Binding("tab", "sort(1)", "Sort by the next figure", priority=True),
        Binding("shift+tab", "sort(-1)", "Sort by the figure before", priority=True),
        Binding("ctrl+r", "reverse", "Reverse the order", priority=True),
        Binding("ctrl+g", "judge", "Gen PPL by the judge", priority=True),
    ]
    DEFAULT_CSS = """
    OverviewScreen > VerticalScroll { width: 130; max-width: 98%; }
    OverviewScreen OptionList { max-height: 30; }
    OverviewScreen Label.error { color: $foreground; background: transparent; }
    OverviewScreen #heads { text-style: bold; text-wrap: nowrap; }
    """

    class TextsJudged(Message):
        """The judge has ended: with perplexities, or with a sentence on why not."""

        def __init__(self, values: Sequence[float], problem: str = "") -> None:
            super().__init__()
            self.values, self.problem = values, problem

    def __init__(
        self, title: str, what: str, rows: Sequence[OverviewRow], at: int, ascii_only: bool,
        make_judge: Callable[[], JudgeProcess] = JudgeProcess,
    ) -> None:  # fmt: skip
        """what: what a row is; at: the row to highlight."""
        question = "tab sorts, ctrl+r reverses, ctrl+g adds gen PPL, enter opens, esc closes"
        super().__init__(title, question, ascii_only)
        self._make_judge = make_judge
        self._judge: JudgeProcess | None = None
        self._length = max((row.positions for row in rows), default=1)
        self._what, self._rows, self.begin_at = what, list(rows), at
        self._by: int | None = None
        self._descending = False
        self._order: list[int] = []

    def line(self) -> LineInput:
        return LineInput(placeholder="filter by words of the text", compact=True)

    def below(self) -> Iterable[Widget]:
        yield Label("", id="heads", markup=False)
        yield from super().below()

    def on_resize(self, event: Resize) -> None:
        if self.query("OptionList"):
            self.list_rows(self.at)

    def rows(self) -> Sequence[Text]:
        words = self.query_one(LineInput).value.casefold().split()
        order = sorted_rows(self._rows, self._by, self._descending)
        self._order = [
            number for number in order
            if all(word in f"{self._rows[number].name} {self._rows[number].text}".casefold() for word in words)
        ]  # fmt: skip
        arrow = ("v" if self._descending else "^") if self._ascii else ("▼" if self._descending else "▲")
        columns = columns_of(self._rows)
        heads = [f"{column.title}{arrow if number == self._by else ' '}" for number, column in enumerate(columns)]
        first = f"{self._what}{arrow if self._by is None else ' '}"
        wide = max([len(first), *(cell_len(row.name) for row in self._rows)])
        cells = {number: [column.cell(self._rows[number]) for column in columns] for number in self._order}
        # the scroll bar takes one
        room = max(20, self.query_one("#heads").size.width - 2)
        widths = [max([len(head), *(len(row[i]) for row in cells.values())]) for i, head in enumerate(heads)]
        shown = len(widths)
        while shown > 1 and wide + sum(widths[:shown]) + 2 * (shown + 1) + LEAST > room:
            shown -= 1
        left = room - wide - sum(widths[:shown]) - 2 * (shown + 1)

        def row(name: str, figures: Sequence[str], text: str) -> str:
            numbers = "  ".join(f"{figure:>{width}}" for figure, width in zip(figures[:shown], widths))
            return f"{fit(name, wide, self._ascii)}  {numbers}  {fit(text, max(4, left), self._ascii)}"

        self.query_one("#heads", Label).update(row(first, heads, "text"))
        return [Text(row(self._rows[n].name, cells[n], self._words(self._rows[n].text))) for n in self._order]

    def _words(self, text: str) -> str:
        """Return the first words of a text in one line."""
        return sanitize(" ".join(text.split()), cells=True, ascii_only=self._ascii)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.list_rows(0)

    def action_sort(self, by: int) -> None:
        """Sort by the next figure, largest first; after the last one in the order that they came in."""
        places = [None, *range(len(columns_of(self._rows)))]
        self._by = places[(places.index(self._by) + by) % len(places)]
        self._descending = self._by is not None
        self._list_again()

    def action_reverse(self) -> None:
        self._descending = not self._descending
        self._list_again()

    def action_judge(self) -> None:
        """Have the judge read all finished texts; the process that it is takes a few seconds."""
        finished = [number for number, row in enumerate(self._rows) if not row.masked]
        if self._judge is not None:
            self.complain("The judge is reading")
        elif not finished:
            self.complain("Gen PPL needs finished texts: all of these have masks")
        else:
            self.complain("The judge reads ...")
            self._judge = judge = self._make_judge()
            texts = [self._rows[number].text for number in finished]

            def work() -> None:
                try:
                    read = dict(zip(finished, judge.score(texts, self._length), strict=True))
                    message = self.TextsJudged([read.get(number, math.nan) for number in range(len(self._rows))])
                except (OSError, ValueError) as error:
                    message = self.TextsJudged((), str(error))
                self.post_message(message)

            threading.Thread(target=work, daemon=True, name="judge").start()

    def on_overview_screen_texts_judged(self, event: TextsJudged) -> None:
        self._judge = None
        if event.problem:
            self.complain(event.problem)
            return
        self._rows = [replace(row, gen_ppl=value) for row, value in zip(self._rows, event.values, strict=True)]
        self.complain("Judged by demo-judge: not comparable to published figures")
        self._list_again()

    def on_unmount(self) -> None:
        if self._judge is not None:
            self._judge.close()

    def _list_again(self) -> None:
        """List the rows in another order; the highlighted one stays so."""
        chosen = None if self.at is None else self._order[self.at]
        self.list_rows()
        if chosen in self._order:
            self.options.highlighted = self._order.index(chosen)

    def chosen(self, row: int) -> None:
        self.dismiss(self._order[row])

    def accept(self, text: str) -> None:
        if self.at is None:
            raise ValueError("No row has these words")
        self.chosen(self.at)
