"""The dialogs for a knob's value: a line for a number, a list for a choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from textual.widget import Widget
from textual.widgets import Input, Label

from engine.records import Knob, KnobInfo
from remdm_tui.screens.dialog import ChoiceDialog, Dialog
from remdm_tui.settings.knobs import at_fraction, fraction, knob_text, span
from remdm_tui.widgets.line_input import LineInput

BAR = 40
"""Columns of the slider below a number."""


class ValueScreen(Dialog[Knob | None]):
    """Returns a valid number, or None on escape.

    Shows the whole help of the knob, its range and default, and where the typed number is in the range.
    """

    DEFAULT_CSS = """
    ValueScreen > VerticalScroll { width: 64; }
    ValueScreen .facts { color: $note; }
    """

    def __init__(self, info: KnobInfo, value: Knob, ascii_only: bool = False) -> None:
        super().__init__(f"{info.name} - enter sets it, up and down turn it, esc cancels", info.doc, ascii_only)
        self._info, self._value = info, value
        self._pasted = False
        """whether the next change of the line is a paste whose complaint stays"""

    def line(self) -> LineInput:
        return LineInput(knob_text(self._value), compact=True)

    def on_line_input_lines_left_out(self, event: LineInput.LinesLeftOut) -> None:
        super().on_line_input_lines_left_out(event)
        self._pasted = True

    def below(self) -> Iterable[Widget]:
        yield Label(self._slider(self._value), id="slider", markup=False)
        facts = f"{span(self._info)}; default {knob_text(self._info.default)}; now {knob_text(self._value)}"
        yield Label(facts, classes="facts", markup=False)

    def accept(self, text: str) -> None:
        self.dismiss(self._info.check(text.strip()))

    def _slider(self, value: Knob) -> str:
        """Return a bar with a mark at a number."""
        full, rest, head = ("=", "-", "o") if self._ascii else ("━", "─", "●")
        at = round(max(0.0, min(1.0, fraction(self._info, value))) * (BAR - 1))
        return full * at + head + rest * (BAR - 1 - at)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show where the number is; a complaint about another one ends."""
        event.stop()
        if not self._pasted:
            self.complain("")
        self._pasted = False
        try:
            value = self._info.check(event.value.strip())
        except ValueError:
            return
        self.query_one("#slider", Label).update(self._slider(value))

    def key_up(self) -> None:
        self._turn(1)

    def key_down(self) -> None:
        self._turn(-1)

    def _turn(self, by: int) -> None:
        """Go a fiftieth of the range further."""
        line = self.query_one(LineInput)
        try:
            value = self._info.check(line.value.strip())
        except ValueError as error:
            self.complain(str(error))
            return
        line.value = knob_text(at_fraction(self._info, fraction(self._info, value) + by / 50))
        line.cursor_position = len(line.value)


class KnobChoiceScreen(ChoiceDialog[Knob | None]):
    """Returns one of a knob's choices, or None on escape; the present one is highlighted."""

    def __init__(
        self, info: KnobInfo, value: Knob, ascii_only: bool = False, summaries: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """summaries: what each choice does, as far as known."""
        title = f"{info.name} - type to filter, enter takes it, esc cancels"
        super().__init__(title, info.doc, [(name, summaries.get(name, "")) for name in info.choices], ascii_only)
        self._info = info
        self.begin_at = info.choices.index(str(value)) if value in info.choices else 0

    def line(self) -> LineInput:
        return LineInput(self._info.choices[self.begin_at or 0], compact=True)

    def accept(self, text: str) -> None:
        self.dismiss(self._info.check(text.strip()))
