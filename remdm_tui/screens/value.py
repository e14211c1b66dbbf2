"""A line to type a knob's value on."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from engine.records import Knob, KnobInfo
from remdm_tui.settings.knobs import shown
from remdm_tui.widgets.line_input import LineInput, PasteWarning


class ValueScreen(PasteWarning, ModalScreen[Knob | None]):
    """Returns a valid value, or None when it is left by escape."""

    BINDINGS = [Binding("escape", "dismiss", "Cancel")]
    DEFAULT_CSS = """
    ValueScreen { align: center middle; }
    ValueScreen > Vertical {
        width: 60; max-width: 96%; height: auto; border: round $primary; padding: 0 1; background: $surface;
    }
    ValueScreen .error { color: $text-error; height: auto; }
    """

    def __init__(self, info: KnobInfo, value: Knob) -> None:
        super().__init__()
        self._info, self._value = info, value

    def compose(self) -> ComposeResult:
        info = self._info
        valid = ", ".join(info.choices) if info.choices else f"{info.low:g} to {info.high:g}"
        with Vertical() as box:
            box.border_title = info.name
            yield Label(f"{info.doc} ({valid})", markup=False)
            yield LineInput(shown(self._value))
            yield Label("", classes="error", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            self.dismiss(self._info.check(event.value.strip()))
        except ValueError as error:
            self.query_one(".error", Label).update(str(error))
