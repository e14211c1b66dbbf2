"""The dialogs for a knob's value: a line for a number, a list for a choice."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.records import Knob, KnobInfo
from remdm_tui.screens.dialog import ChoiceDialog, Dialog
from remdm_tui.settings.knobs import knob_text
from remdm_tui.widgets.line_input import LineInput


class ValueScreen(Dialog[Knob | None]):
    """Returns a valid number, or None on escape."""

    DEFAULT_CSS = "ValueScreen > VerticalScroll { width: 60; }"

    def __init__(self, info: KnobInfo, value: Knob, ascii_only: bool = False) -> None:
        super().__init__(info.name, f"{info.doc} ({info.low:g} to {info.high:g})", ascii_only)
        self._info, self._value = info, value

    def line(self) -> LineInput:
        return LineInput(knob_text(self._value), compact=True)

    def accept(self, text: str) -> None:
        self.dismiss(self._info.check(text.strip()))


class KnobChoiceScreen(ChoiceDialog[Knob | None]):
    """Returns one of a knob's choices, or None on escape; the present one is highlighted."""

    def __init__(
        self, info: KnobInfo, value: Knob, ascii_only: bool = False, summaries: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """summaries: what each choice does, as far as known."""
        super().__init__(info.name, info.doc, [(name, summaries.get(name, "")) for name in info.choices], ascii_only)
        self._info, self._at = info, info.choices.index(str(value)) if value in info.choices else 0

    def on_mount(self) -> None:
        self.list_rows(self._at)
        self.moved(self._at)

    def accept(self, text: str) -> None:
        self.dismiss(self._info.check(text.strip()))
