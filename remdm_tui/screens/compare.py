"""Pick the strategy of another pane: type it with its knobs, or take one of the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from engine.records import StrategyInfo
from remdm_tui.widgets.line_input import LineInput, PasteWarning


class CompareScreen(PasteWarning, ModalScreen[None]):
    """What is chosen is carried out by what it was given; escape leaves."""

    BINDINGS = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("down", "move(1)", "Next", priority=True),
        Binding("up", "move(-1)", "Previous", priority=True),
    ]
    DEFAULT_CSS = """
    CompareScreen { align: center middle; }
    CompareScreen > Vertical {
        width: 84; max-width: 96%; height: auto; max-height: 92%;
        border: round $primary; padding: 0 1; background: $surface;
    }
    CompareScreen.ascii > Vertical { border: ascii $primary; }
    CompareScreen Label { width: 1fr; height: auto; }
    CompareScreen .error { color: $text-error; display: none; }
    CompareScreen Input { border: none; height: 1; margin: 1 0; padding: 0; }
    CompareScreen OptionList { border: none; height: auto; max-height: 12; padding: 0; background: $surface; }
    CompareScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    CompareScreen.ascii OptionList { text-overflow: clip; }
    """

    def __init__(self, strategies: Sequence[StrategyInfo], accept: Callable[[str], None], ascii_only: bool) -> None:
        """accept raises ValueError, whose sentence is shown."""
        super().__init__(classes="ascii" if ascii_only else "")
        self._strategies, self._accept = strategies, accept
        self._at: int | None = None

    def compose(self) -> ComposeResult:
        widest = max((len(info.name) for info in self._strategies), default=0)
        with Vertical() as box:
            box.border_title = "compare with ... - enter begins it, esc leaves"
            yield Label("A strategy from the start, with the same dice; knobs may follow: remdm-cap:eta=.04,top_p=.8")
            yield LineInput(placeholder="type here, or choose below", compact=True)
            yield Label("", classes="error", markup=False)
            rows = [Text.assemble(f"{info.name:<{widest}}  ", (info.summary, "dim")) for info in self._strategies]
            options = OptionList(*(Option(row) for row in rows), compact=True)
            options.can_focus = False
            options.highlighted = None
            yield options

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def action_move(self, by: int) -> None:
        """Along the list; what is highlighted is what is typed."""
        if self._strategies:
            self._at = min(0, by) if self._at is None else self._at + by
            self._at %= len(self._strategies)
            self.query_one(OptionList).highlighted = self._at
            line = self.query_one(Input)
            line.value = self._strategies[self._at].name
            line.cursor_position = len(line.value)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._take(self._strategies[event.option_index].name)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self._take(event.value)

    def _take(self, text: str) -> None:
        try:
            self._accept(text)
        except ValueError as error:
            said = self.query_one(".error", Label)
            said.update(str(error))
            said.display = True
        else:
            self.dismiss()
