"""An input line at the bottom of the screen, which leaves the text above it visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Label

from remdm_tui.screens.dialog import Dialog
from remdm_tui.widgets.line_input import LineInput

LONGEST = 100
"""Lines of a history at most."""


class LineHistory:
    """The lines that were accepted, and a walk through them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._at, self._typed = 0, ""

    def begin(self) -> None:
        """Begin a walk below the newest line."""
        self._at, self._typed = len(self.lines), ""

    def add(self, line: str) -> None:
        """Add a line as the newest."""
        self.lines = [*(one for one in self.lines if one != line), line][-LONGEST:]

    def move(self, by: int, now: str) -> str:
        """Return the line `by` lines further; behind the newest is what was typed, `now` when the walk left it."""
        if self._at == len(self.lines):
            self._typed = now
        self._at = max(0, min(self._at + by, len(self.lines)))
        return self.lines[self._at] if self._at < len(self.lines) else self._typed


class BottomLine(Dialog[str | None]):
    """Returns the accepted text, or None on escape and for an empty line."""

    BINDINGS = [
        Binding("up", "history(-1)", "Earlier line", priority=True),
        Binding("down", "history(1)", "Later line", priority=True),
        Binding("tab", "complete(1)", "Complete", priority=True),
        Binding("shift+tab", "complete(-1)", "Complete backwards", priority=True),
    ]
    DEFAULT_CSS = """
    BottomLine { align: left bottom; background: transparent; }
    BottomLine > VerticalScroll {
        width: 100%; max-width: 100%; height: 2; border: none; padding: 0 1; background: $panel;
    }
    BottomLine.ascii > VerticalScroll { border: none; }
    BottomLine Horizontal { height: 1; }
    BottomLine .sign { width: auto; text-style: bold; }
    BottomLine Input { width: 1fr; margin: 0; background: $panel; }
    BottomLine .hint { height: 1; text-wrap: nowrap; text-overflow: ellipsis; color: $note; }
    BottomLine.ascii .hint { text-overflow: clip; }
    BottomLine Label.error { height: auto; max-height: 3; background: transparent; }
    BottomLine > VerticalScroll.refused { height: auto; max-height: 4; }
    """

    def __init__(
        self,
        sign: str,
        accept: Callable[[str], None],
        history: LineHistory,
        *,
        value: str = "",
        describe: Callable[[str], str] = lambda text: "",
        complete: Callable[[str], Sequence[str]] = lambda text: (),
        newline: str = "",
        may_be_empty: bool = False,
        ascii_only: bool = False,
    ) -> None:
        """sign: what stands before the line; accept: handles the text, or raises ValueError with what to show.

        describe: returns what the line expects; complete: returns the lines that a text can become.
        newline: the sign of a line break, where several lines can be pasted, and are returned.
        may_be_empty: whether an empty line is accepted; else it cancels.
        """
        super().__init__("", ascii_only=ascii_only)
        self._sign, self._value, self._accept, self._history = sign, value, accept, history
        self._describe, self._complete = describe, complete
        self._newline, self._may_be_empty = newline, may_be_empty
        self._offered: Sequence[str] = ()
        """the completions that tab goes through"""
        self._pasted = False
        """whether the next change of the line is a paste whose complaint stays"""
        history.begin()

    def line(self) -> LineInput:
        return LineInput(self._value, newline=self._newline, compact=True)

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            with Horizontal():
                yield Label(self._sign, classes="sign", markup=False)
                yield self.line()
            yield Label(self._describe(self._value), classes="hint", markup=False)
            error = Label("", classes="error", markup=False)
            error.display = False
            yield error

    def accept(self, text: str) -> None:
        if text.strip() or self._may_be_empty:
            self._accept(text)
        if text.strip():
            self._history.add(text.replace("\n", self._newline))
        self.dismiss(text if text.strip() or self._may_be_empty else None)

    def complain(self, sentence: str) -> None:
        super().complain(sentence)
        self.query_one(".hint").display = not sentence
        self.query_one(VerticalScroll).set_class(bool(sentence), "refused")

    def action_history(self, by: int) -> None:
        if not self._history.lines:
            self._hint("No earlier line")
            return
        self._put(self._history.move(by, self.query_one(LineInput).value))

    def action_complete(self, by: int) -> None:
        """Complete the line as far as it is certain; from then on go through what it can become."""
        now = self.query_one(LineInput).value
        if now in self._offered and len(self._offered) > 1:
            self._put(self._offered[(self._offered.index(now) + by) % len(self._offered)])
        else:
            self._offered = self._complete(now)
            certain = _common_start(self._offered)
            if not self._offered:
                self._hint("Nothing completes this")
                return
            self._put(certain if len(certain) > len(now) else self._offered[0 if by > 0 else -1])
        if len(self._offered) > 1:
            self._hint("  ".join(line.rpartition(" ")[2] or line.strip() for line in self._offered))

    def _put(self, text: str) -> None:
        """Replace the line."""
        line = self.query_one(LineInput)
        with self.prevent(Input.Changed):
            line.value = text
        line.cursor_position = len(text)
        self._hint(self._describe(text))

    def _hint(self, text: str) -> None:
        self.complain("")
        self.query_one(".hint", Label).update(text)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._offered = ()
        if not self._pasted:
            self._hint(self._describe(event.value))
        self._pasted = False

    def on_line_input_lines_left_out(self, event: LineInput.LinesLeftOut) -> None:
        # the message comes before that of the change which the paste makes
        super().on_line_input_lines_left_out(event)
        self._pasted = True


def _common_start(texts: Sequence[str]) -> str:
    """Return the longest text with which all of these begin."""
    columns = takewhile(lambda letters: len(set(letters)) == 1, zip(*texts))
    return "".join(letters[0] for letters in columns)
