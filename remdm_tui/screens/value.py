"""The dialog for a knob's value."""

from __future__ import annotations

from engine.records import Knob, KnobInfo
from remdm_tui.screens.dialog import Dialog
from remdm_tui.settings.knobs import shown
from remdm_tui.widgets.line_input import LineInput


class ValueScreen(Dialog[Knob | None]):
    """Returns a valid value, or None on escape."""

    DEFAULT_CSS = "ValueScreen > VerticalScroll { width: 60; }"

    def __init__(self, info: KnobInfo, value: Knob, ascii_only: bool = False) -> None:
        valid = ", ".join(info.choices) if info.choices else f"{info.low:g} to {info.high:g}"
        super().__init__(info.name, f"{info.doc} ({valid})", ascii_only)
        self._info, self._value = info, value

    def line(self) -> LineInput:
        return LineInput(shown(self._value), compact=True)

    def accept(self, text: str) -> None:
        self.dismiss(self._info.check(text.strip()))
