"""The menu of a token: what can be done with it, in a box at the bottom that leaves the text visible."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Input

from remdm_tui.screens.dialog import ListDialog
from remdm_tui.widgets.line_input import LineInput


class TokenMenu(ListDialog[int | None]):
    """Returns the number of the chosen line, or None on escape."""

    DEFAULT_CSS = """
    TokenMenu { align: left bottom; background: transparent; }
    TokenMenu > VerticalScroll { width: 60; max-height: 60%; }
    TokenMenu Input { margin: 0; }
    """

    def __init__(self, title: str, lines: Sequence[tuple[str, str]], ascii_only: bool) -> None:
        """lines: what each does, and the key that does the same; empty: none."""
        super().__init__(f"{title} - enter does it, esc closes", ascii_only=ascii_only)
        self._lines = lines
        self._listed: list[int] = []
        self.begin_at = 0

    def line(self) -> LineInput:
        return LineInput(placeholder="filter", compact=True)

    def rows(self) -> Sequence[Text]:
        words = self.query_one(LineInput).value.casefold().split()
        self._listed = [
            number for number, (what, _) in enumerate(self._lines) if all(word in what.casefold() for word in words)
        ]
        wide = max((len(self._lines[number][0]) for number in self._listed), default=0)
        return [Text.assemble((f"{self._lines[n][0]:<{wide}}  ", "bold"), self._lines[n][1]) for n in self._listed]

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.list_rows(0)

    def chosen(self, row: int) -> None:
        self.dismiss(self._listed[row])

    def accept(self, text: str) -> None:
        if self.at is None:
            raise ValueError("Nothing in the menu has these words")
        self.chosen(self.at)
