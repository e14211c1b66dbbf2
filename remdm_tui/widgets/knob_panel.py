"""The knobs: one line each, turned by key, wheel or click."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from engine.records import Knob, KnobInfo
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.shorten import fit, shorten
from remdm_tui.settings.knobs import KnobRow, at_fraction, fraction, knob_text, notch

NAME, VALUE, BAR = 14, 7, 4
"""Columns of a name and of a value, and those of a slider at least."""


class KnobPanel(Widget):
    """Shows knobs as they were at the step on screen, and posts `Turned`; it keeps no settings of its own."""

    DEFAULT_CSS = "KnobPanel { height: auto; min-height: 3; }"

    class Turned(Message):
        """A knob was changed."""

        def __init__(self, name: str, value: Knob) -> None:
            super().__init__()
            self.name, self.value = name, value

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._rows: list[KnobRow] = []
        self._chosen = 0

    @property
    def chosen(self) -> KnobInfo | None:
        """The selected knob."""
        return self._rows[self._chosen].info if self._rows else None

    def show(self, rows: Sequence[KnobRow]) -> None:
        name = self.chosen.name if self.chosen else ""
        grown = len(rows) != len(self._rows)
        self._rows = list(rows)
        self._chosen = next((i for i, row in enumerate(rows) if row.info.name == name), 0)
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
            info = self._rows[row].info
            self.post_message(self.Turned(info.name, notch(info, self._rows[row].now, by)))

    def _describe(self) -> None:
        if self.chosen:
            # of a plug-in or another machine, and a plain string would be read as markup
            self.tooltip = Content(sanitize(self.chosen.doc))

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return max(1, len(self._rows))

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if y >= len(self._rows):
            return Strip.blank(width, base)
        row = self._rows[y]
        chosen = y == self._chosen
        style = base + Style(bold=True, reverse=True) if chosen else base
        mark = (">" if self._ascii else "›") if chosen else " "
        name = fit(row.info.name, NAME - 3, self._ascii)
        return Strip(
            [Segment(fit(f"{mark} {name} {self._control(row, width - NAME)}", width, self._ascii), style)], width
        )

    def _control(self, row: KnobRow, width: int) -> str:
        """Return the control in `width` cells; what the next step changes stands behind the value, as far as it fits.

        A number is never cut: a slider gives way to it.
        """
        info, value = row.info, row.now if row.value is None else row.value
        number, after = _texts(row)
        if info.choices:
            left, right = ("<", ">") if self._ascii else ("‹", "›")
            if row.value is None:
                return shorten(after.strip(), width, self._ascii)
            if row.upcoming is None:
                return f"{left} {shorten(str(value), width - 4, self._ascii):^{width - 4}} {right}"
            return shorten(f"{left} {value} {right}{after}", width, self._ascii)
        bar = _bar(row, width)
        if bar < BAR:
            return f"{number + after:>{width}}"
        full, rest, head = ("=", "-", "o") if self._ascii else ("━", "─", "●")
        at = round(max(0.0, min(1.0, fraction(info, value))) * (bar - 1))
        return full * at + head + rest * (bar - 1 - at) + f"{number + after:>{width - bar}}"

    def on_click(self, event: events.Click) -> None:
        """Select the knob; on a slider set its value, on a word step left or right."""
        row, x = event.y, event.x - NAME
        if row >= len(self._rows):
            return
        self._chosen = row
        self._describe()
        self.refresh()
        info = self._rows[row].info
        width = self.size.width - NAME
        if info.choices:
            if x >= 0:
                self._turn(row, -1 if x < width // 2 else 1)
        elif 0 <= x < (bar := _bar(self._rows[row], width)) and bar >= BAR:
            self.post_message(self.Turned(info.name, at_fraction(info, x / (bar - 1))))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._turn(event.y, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._turn(event.y, -1)


def _texts(row: KnobRow) -> tuple[str, str]:
    """Return a knob's value at the step on screen, and what the next step changes it to; either may be empty."""
    after = "" if row.upcoming is None else f" next {knob_text(row.upcoming)}"
    return ("" if row.value is None else knob_text(row.value)), after


def _bar(row: KnobRow, width: int) -> int:
    """Return the columns that a slider has of a control's."""
    number, after = _texts(row)
    return width - (len(number) + len(after) + 1 if after else max(VALUE, len(number) + 1))
