"""An input line that accepts a paste of several lines, or reports that it cannot."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import Input

from engine.text.counts import counted
from engine.text.lines import lines_of

NEWLINES, ASCII_NEWLINES = ("↵", "⏎", "␤"), ("^J", "<LF>", "\\n")
"""What a line break looks like on a line, the first choice first."""


def newline_sign(text: str, ascii_only: bool) -> str:
    """Return what a line break of a text looks like on a line: nothing that the text itself has."""
    signs = ASCII_NEWLINES if ascii_only else NEWLINES
    return next((sign for sign in signs if sign not in text), signs[-1])


class LineInput(Input):
    """An input that never cuts a paste silently.

    With `newline`, a sign, a line break is shown as it, and `text` has it back as a line break.  Without, the first
    line that is not empty is taken, and `LinesLeftOut` says how many others there were.
    """

    class LinesLeftOut(Message):
        """A paste had more lines than the input takes."""

        def __init__(self, count: int) -> None:
            super().__init__()
            self.count = count

        @property
        def sentence(self) -> str:
            return f"Only one line fits: {counted(self.count, 'pasted line')} left out"

    def __init__(self, value: str = "", *, newline: str = "", placeholder: str = "", select_on_focus: bool = True,
                 compact: bool = False) -> None:  # fmt: skip
        self._newline = newline
        shown = value.replace("\n", newline) if newline else value
        super().__init__(shown, placeholder=placeholder, select_on_focus=select_on_focus, compact=compact)

    @property
    def text(self) -> str:
        """The text, with line breaks."""
        return self.value.replace(self._newline, "\n") if self._newline else self.value

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self._insert(event.text)

    def action_paste(self) -> None:
        """Paste what was copied in the application."""
        self._insert(self.app.clipboard)

    def _insert(self, text: str) -> None:
        lines = lines_of(text) or [""]
        if self._newline:
            pasted = self._newline.join(lines)
        else:
            filled = [line for line in lines if line.strip()] or [""]
            pasted = filled[0]
            if len(filled) > 1:
                self.post_message(self.LinesLeftOut(len(filled) - 1))
        self.replace(pasted, *self.selection)
