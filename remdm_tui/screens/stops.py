"""The breakpoints: type one, list, switch off and on, remove."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from engine.debug.breakpoints import CONDITIONS
from remdm_tui.watch.breakpoints import Stop
from remdm_tui.widgets.line_input import LineInput, PasteWarning


class StopsScreen(PasteWarning, ModalScreen[None]):
    """Every change is carried out at once by what it was given; escape leaves."""

    BINDINGS = [
        Binding("escape", "dismiss", "Close"),
        Binding("down", "move(1)", "Next", priority=True),
        Binding("up", "move(-1)", "Previous", priority=True),
        Binding("delete,ctrl+d", "remove", "Remove", priority=True),
    ]
    DEFAULT_CSS = """
    StopsScreen { align: center middle; }
    StopsScreen > VerticalScroll {
        width: 84; max-width: 96%; height: auto; max-height: 92%;
        border: round $primary; padding: 0 1; background: $surface;
    }
    StopsScreen.ascii > VerticalScroll { border: ascii $primary; }
    StopsScreen Label { width: 1fr; height: auto; }
    StopsScreen .error { color: $text-error; display: none; }
    StopsScreen #forms { height: auto; margin-top: 1; }
    StopsScreen Input { border: none; height: 1; margin: 1 0; padding: 0; }
    StopsScreen OptionList { border: none; height: 1; padding: 0; background: $surface; }
    """

    def __init__(
        self,
        listed: Callable[[], tuple[Stop, ...]],
        add: Callable[[str], None],
        toggle: Callable[[int], None],
        remove: Callable[[int], None],
        ascii_only: bool,
    ) -> None:
        """add raises ValueError, whose sentence is shown."""
        super().__init__(classes="ascii" if ascii_only else "")
        self._listed, self._add, self._toggle, self._remove = listed, add, toggle, remove
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = "stop when ... - enter adds or switches, del removes, esc closes"
            yield LineInput(placeholder="a condition, as below", compact=True)
            yield Label("", classes="error", markup=False)
            options = OptionList(compact=True)
            options.can_focus = False
            yield options
            forms = Table.grid(padding=(0, 2))
            for kind in CONDITIONS:
                forms.add_row(Text(kind.form, style="bold"), kind.doc)
            yield Static(forms, id="forms")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._show(None)

    def _show(self, at: int | None) -> None:
        options = self.query_one(OptionList)
        on_, off = ("(x)", "( )") if self._ascii else ("◉", "○")
        options.clear_options()
        rows = [
            Text.assemble(f"{on_ if stop.on else off} {stop.text}", ("" if stop.on else "  off", "dim"))
            for stop in self._listed()
        ]
        options.add_options([Option(row) for row in rows])
        options.highlighted = None if at is None or not rows else min(at, len(rows) - 1)
        options.display = bool(rows)
        options.styles.height = min(10, len(rows))

    @property
    def _at(self) -> int | None:
        return self.query_one(OptionList).highlighted

    def action_move(self, by: int) -> None:
        count = len(self._listed())
        if count:
            at = self._at
            self.query_one(OptionList).highlighted = min(0, by) % count if at is None else (at + by) % count

    def action_remove(self) -> None:
        at = self._at
        if at is not None:
            self._remove(self._listed()[at].number)
            self._show(at)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._toggle(self._listed()[event.option_index].number)
        self._show(event.option_index)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        complaint = ""
        if event.value.strip():
            try:
                self._add(event.value)
                event.input.value = ""
                self._show(len(self._listed()) - 1)
            except ValueError as error:
                complaint = str(error)
        elif (at := self._at) is not None:
            self._toggle(self._listed()[at].number)
            self._show(at)
        said = self.query_one(".error", Label)
        said.update(complaint)
        said.display = bool(complaint)
