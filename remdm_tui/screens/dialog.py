"""Bases of the dialogs: an input line, an error below it, and an optional list."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from remdm_tui.screens.overlay import OverlayScreen, Result
from remdm_tui.widgets.line_input import LineInput


class Dialog(OverlayScreen[Result]):
    """A dialog with an input line; escape dismisses it with None.

    What `accept` raises as ValueError is shown, and the dialog stays.
    """

    BINDINGS = [Binding("escape", "dismiss", "Cancel")]
    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > VerticalScroll {
        width: 70; max-width: 96%; height: auto; max-height: 92%;
        border: round $line-text; padding: 0 1; background: $surface;
    }
    Dialog.ascii > VerticalScroll { border: ascii $line-text; }
    Dialog Label { width: 1fr; height: auto; }
    Dialog Label.error { color: $complaint; background: transparent; }
    Dialog Input > .input--placeholder { color: $foreground 80%; }
    Dialog Input { border: none; height: 1; margin: 1 0; padding: 0; }
    """

    def __init__(self, title: str, question: str = "", ascii_only: bool = False, complaint: str = "") -> None:
        """question: the sentence above the line; complaint: an error to show from the start."""
        super().__init__(classes="ascii" if ascii_only else "")
        self._title, self._question, self._ascii, self._complaint = title, question, ascii_only, complaint

    def line(self) -> LineInput:
        """Return the input line."""
        return LineInput(compact=True)

    def below(self) -> Iterable[Widget]:
        """Yield the widgets below the line."""
        return ()

    def accept(self, text: str) -> None:
        """Handle the submitted text.  Raises ValueError with the sentence to show."""
        self.dismiss()

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = self._title
            if self._question:
                yield Label(self._question, markup=False)
            yield self.line()
            error = Label(self._complaint, classes="error", markup=False)
            error.display = bool(self._complaint)
            yield error
            yield from self.below()

    def set_up(self) -> None:
        # at once: what was typed ahead is for the line
        self.set_focus(self.query_one(Input))

    def complain(self, sentence: str) -> None:
        """Show an error; an empty sentence hides it."""
        label = self.query_one(".error", Label)
        label.update(sentence)
        label.display = bool(sentence)

    def submit(self, text: str) -> None:
        """Accept a text, or show the error."""
        try:
            self.accept(text)
        except ValueError as error:
            self.complain(str(error))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.submit(self.query_one(LineInput).text)

    def on_line_input_lines_left_out(self, event: LineInput.LinesLeftOut) -> None:
        self.complain(event.sentence)


class ListDialog(Dialog[Result]):
    """A dialog with a list; the line keeps the focus, up and down move the highlight."""

    BINDINGS = [
        Binding("down", "move(1)", "Next", priority=True),
        Binding("up", "move(-1)", "Previous", priority=True),
    ]
    DEFAULT_CSS = """
    ListDialog > VerticalScroll { width: 84; }
    ListDialog OptionList { border: none; height: auto; max-height: 12; padding: 0; background: $surface; }
    ListDialog OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    ListDialog OptionList > .option-list--option-disabled { color: $foreground; }
    ListDialog.ascii OptionList { text-overflow: clip; }
    """

    @property
    def options(self) -> OptionList:
        return self.query_one(OptionList)

    @property
    def at(self) -> int | None:
        """The highlighted row."""
        return self.options.highlighted

    def rows(self) -> Sequence[Text]:
        """Return the rows of the list."""
        return ()

    def headings(self) -> Collection[int]:
        """Return the rows that are titles and cannot be highlighted."""
        return ()

    def moved(self, row: int) -> None:
        """Handle a row that a key has highlighted."""

    def chosen(self, row: int) -> None:
        """Handle a click on a row."""

    def below(self) -> Iterable[Widget]:
        options = OptionList(compact=True)
        options.can_focus = False
        yield options

    begin_at: int | None = None
    """the row that is highlighted at first"""

    def set_up(self) -> None:
        super().set_up()
        self.list_rows(self.begin_at)

    def list_rows(self, at: int | None = None) -> None:
        """Refill the list and highlight row `at`."""
        options, rows = self.options, self.rows()
        options.clear_options()
        titles = self.headings()
        options.add_options([Option(row, disabled=number in titles) for number, row in enumerate(rows)])
        options.highlighted = None if at is None or not rows else min(at, len(rows) - 1)
        options.display = bool(rows)

    def action_move(self, by: int) -> None:
        titles = self.headings()
        rows = [row for row in range(self.options.option_count) if row not in titles]
        if rows:
            row = rows[min(0, by)] if self.at is None else rows[(rows.index(self.at) + by) % len(rows)]
            self.options.highlighted = row
            self.moved(row)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.chosen(event.option_index)


class ChoiceDialog(ListDialog[Result]):
    """A dialog that takes a text or one of a list of names.

    What is typed leaves the choices that have it in name or summary; the highlighted name is copied to the line.
    """

    completes = True
    """whether a part of a name stands for the choice if no other name has it; False: any text is an answer"""

    def __init__(
        self, title: str, question: str, choices: Sequence[tuple[str, str]], ascii_only: bool, complaint: str = ""
    ) -> None:
        """choices: names with their summaries."""
        super().__init__(title, question, ascii_only, complaint)
        self._choices = self._shown = list(choices)

    def line(self) -> LineInput:
        return LineInput(placeholder="type here, or choose below", compact=True)

    def rows(self) -> Sequence[Text]:
        widest = max((len(name) for name, _ in self._choices), default=0)
        return [Text.assemble((f"{name:<{widest}}  ", "bold"), summary) for name, summary in self._shown]

    def moved(self, row: int) -> None:
        line = self.query_one(LineInput)
        with line.prevent(Input.Changed):
            line.value = self._shown[row][0]
        line.cursor_position = len(line.value)

    def chosen(self, row: int) -> None:
        self.submit(self._shown[row][0])

    def on_input_changed(self, event: Input.Changed) -> None:
        """List what has the typed text; a whole name lists all, with it highlighted."""
        event.stop()
        names, word = [name for name, _ in self._choices], _head(event.value)
        if word in names:
            self._shown = self._choices
            self.list_rows(names.index(word))
            return
        word = word.casefold()
        self._shown = [(name, text) for name, text in self._choices if word in f"{name} {text}".casefold()]
        self.list_rows()

    def submit(self, text: str) -> None:
        word = _head(text)
        found = [name for name, _ in self._choices if word and word in name] if self.completes else []
        super().submit(found[0] + text.strip()[len(word) :] if len(found) == 1 else text)


def _head(text: str) -> str:
    """Return what comes before the colon of NAME:knob=value, or the whole text."""
    return text.partition(":")[0].strip()
