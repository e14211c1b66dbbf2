"""A dialog of one input line."""

from __future__ import annotations

from collections.abc import Callable

from remdm_tui.screens.dialog import Dialog
from remdm_tui.widgets.line_input import LineInput


class LineScreen(Dialog[str | None]):
    """Returns the accepted text, or None on escape."""

    def __init__(
        self, title: str, question: str, value: str = "", ascii_only: bool = False,
        accept: Callable[[str], None] = lambda _: None, newline: str = "",
    ) -> None:  # fmt: skip
        """accept: handles the text; its ValueError is shown and the dialog stays.

        newline: the sign of a line break, where several lines can be pasted, and are returned.
        """
        super().__init__(title, question, ascii_only)
        self._value, self._accept, self._newline = value, accept, newline

    def line(self) -> LineInput:
        return LineInput(self._value, newline=self._newline, compact=True)

    def accept(self, text: str) -> None:
        self._accept(text)
        self.dismiss(text)
