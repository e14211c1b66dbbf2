"""The knobs: one line each, turned by key, wheel or click."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from engine.records import Knob, KnobInfo
from remdm_tui.settings.knobs import at_fraction, fraction, notch, shown

NAME, VALUE = 14, 7


class KnobPanel(Widget):
    """Shows (knob, value) pairs and posts `Turned`; it keeps no settings of its own."""

    DEFAULT_CSS = "KnobPanel { height: auto; min-height: 3; }"

    class Turned(Message):
        """A knob was changed."""

        def __init__(self, name: str, value: Knob) -> None:
            super().__init__()
            self.name, self.value = name, value

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._rows: list[tuple[KnobInfo, Knob]] = []
        self._chosen = 0

    @property
    def chosen(self) -> KnobInfo | None:
        """The selected knob."""
        return self._rows[self._chosen][0] if self._rows else None

    def show(self, rows: Sequence[tuple[KnobInfo, Knob]]) -> None:
        name = self.chosen.name if self.chosen else ""
        grown = len(rows) != len(self._rows)
        self._rows = list(rows)
        self._chosen = next((i for i, (info, _) in enumerate(rows) if info.name == name), 0)
        self._describe()
        self.refresh(layout=grown)

    def choose(self, by: int) -> None:
        """Select another knob."""
        if self._rows:
            self._chosen = (self._chosen + by) % len(self._rows)
            self._describe()
            self.refresh()

    def _turn(self, row: int, by: int) -> None:
        if row < len(self._rows):
            info, value = self._rows[row]
            self.post_message(self.Turned(info.name, notch(info, value, by)))

    def _describe(self) -> None:
        if self.chosen:
            self.tooltip = self.chosen.doc

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return max(1, len(self._rows))

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if y >= len(self._rows):
            return Strip.blank(width, base)
        info, value = self._rows[y]
        chosen = y == self._chosen
        style = base + Style(bold=True, reverse=True) if chosen else base
        mark = (">" if self._ascii else "›") if chosen else " "
        line = f"{mark} {info.name:<{NAME - 2}}" + self._control(info, value, width - NAME)
        return Strip([Segment(line[:width].ljust(width), style)], width)

    def _control(self, info: KnobInfo, value: Knob, width: int) -> str:
        left, right = ("<", ">") if self._ascii else ("‹", "›")
        if info.choices:
            return f"{left} {str(value)[: width - 4]:^{width - 4}} {right}"
        bar = width - VALUE
        full, rest, head = ("=", "-", "o") if self._ascii else ("━", "─", "●")
        at = round(fraction(info, value) * (bar - 1))
        return full * at + head + rest * (bar - 1 - at) + f"{shown(value):>{VALUE}}"

    def on_click(self, event: events.Click) -> None:
        """Select the knob; on a slider set its value, on a word step left or right."""
        row, x = event.y, event.x - NAME
        if row >= len(self._rows):
            return
        self._chosen = row
        self._describe()
        self.refresh()
        info, _ = self._rows[row]
        width = self.size.width - NAME
        if info.choices:
            if x >= 0:
                self._turn(row, -1 if x < width // 2 else 1)
        elif 0 <= x < width - VALUE:
            self.post_message(self.Turned(info.name, at_fraction(info, x / max(1, width - VALUE - 1))))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._turn(event.y, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._turn(event.y, -1)
