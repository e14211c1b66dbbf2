"""The help dialog: keys, legend and symbols."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from remdm_tui.render.palette import Palette
from remdm_tui.render.symbols import FIGURE_MEANINGS, SYMBOLS


class HelpScreen(ModalScreen[None]):
    """Lists the keys of the focused panel first."""

    BINDINGS = [Binding("escape,q,question_mark,enter", "dismiss", "Close")]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 92%;
        border: round $primary; background: $surface; padding: 0 2;
    }
    HelpScreen.ascii > VerticalScroll { border: ascii $primary; }
    """

    def __init__(
        self,
        keys: Sequence[tuple[str, str]],
        colours: Palette,
        ascii_only: bool,
        *,
        panel: str = "",
        own: Sequence[tuple[str, str]] = (),
    ) -> None:
        """keys: every key with what it does; panel: the name of the panel that has the focus, `own` its keys."""
        super().__init__(classes="ascii" if ascii_only else "")
        self._keys, self._colours, self._panel, self._own = keys, colours, panel, own

    def compose(self) -> ComposeResult:
        with VerticalScroll() as scroll:
            scroll.border_title = "help - esc closes"
            yield Static(self._text())

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def _text(self) -> Text:
        text = Text()
        text.append("Tokens\n", style="bold underline")
        for look in self._colours.looks.values():
            text.append("  ")
            text.append(f" {look.fill * 3 or 'word'} ", style=look.style)
            text.append(f" {look.name}\n")
        others = [line for line in self._keys if line not in self._own]
        for title, keys in ((f"Keys of the {self._panel}", self._own), ("Keys", others)):
            if keys:
                text.append(f"\n{title}\n", style="bold underline")
            for key, what in keys:
                text.append(f"  {key:<16}", style="bold")
                text.append(f"{what}\n")
        text.append("\nSymbols\n", style="bold underline")
        for name, what in (*SYMBOLS, *FIGURE_MEANINGS):
            text.append(f"  {name:<10}", style="bold")
            text.append(f"{what}\n")
        return text
