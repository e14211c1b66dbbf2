"""The pinned legend: states, colours of confidence, symbols."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from engine.records import Change
from remdm_tui.render.palette import HEAT_LEVELS, Palette
from remdm_tui.render.symbols import SYMBOLS


class LegendPanel(Static):
    """A box below the text."""

    DEFAULT_CSS = "LegendPanel { overflow: hidden; }"

    def show(self, colours: Palette, key: str) -> None:
        """Draw the legend; `key` closes it."""
        self.border_title = f"legend - {key} closes"
        self.update(legend(colours))


def legend(colours: Palette) -> Text:
    """Return the legend, narrow enough for a small terminal."""
    text = Text()
    for state, look in colours.looks.items():
        # in one row they are wider than a small terminal
        text.append("\n" if state == Change.REMASKED else "")
        text.append(look.fill or f" {look.name} ", style=look.style)
        text.append(f"{look.name} " if look.fill else " ")
    text.append("\nconfidence 0")
    for level, style in enumerate(colours.heat):
        text.append(f" {(level + 1) / HEAT_LEVELS:.2f}".replace("1.00", "1 ").replace("0.", "."), style=style)
    for name, what in SYMBOLS:
        text.append(f"\n{name:<6}", style="bold")
        text.append(what)
    return text
