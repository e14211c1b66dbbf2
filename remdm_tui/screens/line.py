"""A line to type something on."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from remdm_tui.widgets.line_input import LineInput, PasteWarning


class LineScreen(PasteWarning, ModalScreen[str | None]):
    """Returns what was typed once it is accepted, or None when it is left by escape."""

    BINDINGS = [Binding("escape", "dismiss", "Cancel")]
    DEFAULT_CSS = """
    LineScreen { align: center middle; }
    LineScreen > Vertical {
        width: 70; max-width: 96%; height: auto; border: round $primary; padding: 0 1; background: $surface;
    }
    LineScreen.ascii > Vertical { border: ascii $primary; }
    LineScreen Label { width: 1fr; height: auto; }
    LineScreen Input { border: none; height: 1; margin: 1 0; padding: 0; }
    LineScreen .error { color: $text-error; background: transparent; height: auto; }
    """

    def __init__(
        self, title: str, asks: str, value: str = "", ascii_only: bool = False,
        accept: Callable[[str], None] = lambda _: None, newline: str = "",
    ) -> None:  # fmt: skip
        """accept: does what is wanted; what it raises as ValueError is shown, and the line stays.

        newline: the sign of a line break, where several lines can be pasted, and are returned.
        """
        super().__init__(classes="ascii" if ascii_only else "")
        self._title, self._asks, self._value, self._accept = title, asks, value, accept
        self._newline = newline

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self._title
            yield Label(self._asks, markup=False)
            yield LineInput(self._value, newline=self._newline, compact=True)
            yield Label("", classes="error", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = self.query_one(LineInput).text
        try:
            self._accept(text)
        except ValueError as error:
            self.query_one(".error", Label).update(str(error))
        else:
            self.dismiss(text)
