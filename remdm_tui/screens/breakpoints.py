"""The breakpoint dialog: add, list, toggle, remove."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.table import Table
from rich.text import Text
from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Static

from engine.debug.breakpoints import CONDITIONS
from remdm_tui.screens.dialog import ListDialog
from remdm_tui.watch.breakpoints import Breakpoint
from remdm_tui.widgets.line_input import LineInput


class BreakpointScreen(ListDialog[None]):
    """Applies every change at once through the given functions."""

    BINDINGS = [Binding("delete,ctrl+d", "remove", "Remove", priority=True)]
    DEFAULT_CSS = """
    BreakpointScreen OptionList { max-height: 10; }
    BreakpointScreen #forms { height: auto; margin-top: 1; }
    """

    def __init__(
        self,
        listed: Callable[[], tuple[Breakpoint, ...]],
        add: Callable[[str], None],
        toggle: Callable[[int], None],
        remove: Callable[[int], None],
        ascii_only: bool,
    ) -> None:
        """add: raises ValueError with the sentence to show."""
        super().__init__("breakpoints - enter adds or switches, del removes, esc closes", ascii_only=ascii_only)
        self._listed, self._add, self._toggle, self._remove = listed, add, toggle, remove

    def line(self) -> LineInput:
        return LineInput(placeholder="a condition, as below", compact=True)

    def rows(self) -> Sequence[Text]:
        on, off = ("(x)", "( )") if self._ascii else ("◉", "○")
        return [Text(f"{on if stop.on else off} {stop.text}" + ("" if stop.on else "  off")) for stop in self._listed()]

    def below(self) -> Iterable[Widget]:
        yield from super().below()
        forms = Table.grid(padding=(0, 2))
        for kind in CONDITIONS:
            forms.add_row(Text(kind.form, style="bold"), kind.doc)
        yield Static(forms, id="forms")

    def accept(self, text: str) -> None:
        """Add a breakpoint; with an empty line toggle the highlighted one."""
        if text.strip():
            self._add(text)
            self.query_one(LineInput).value = ""
            self.list_rows(len(self._listed()) - 1)
        elif self.at is not None:
            self.chosen(self.at)
        self.complain("")

    def chosen(self, row: int) -> None:
        self._toggle(self._listed()[row].number)
        self.list_rows(row)

    def action_remove(self) -> None:
        row = self.at
        if row is not None:
            self._remove(self._listed()[row].number)
            self.list_rows(row)
