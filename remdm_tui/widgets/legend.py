"""The pinned legend: states, colours of confidence, symbols."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from engine.records import Change
from remdm_tui.render.palette import Palette
from remdm_tui.render.plate_modes import MODES, Mode
from remdm_tui.render.symbols import SYMBOLS


class LegendPanel(Static):
    """A box below the text."""

    DEFAULT_CSS = "LegendPanel { overflow: hidden; }"

    def show(self, colours: Palette, key: str, mode: Mode) -> None:
        """Draw the legend of a colour mode; `key` closes it."""
        self.border_title = f"legend - {key} closes"
        self.update(legend(colours, mode if mode.levels else MODES["confidence"]))


def legend(colours: Palette, mode: Mode) -> Text:
    """Return the legend, narrow enough for a small terminal."""
    text = Text()
    for state, look in colours.looks.items():
        # in one row they are wider than a small terminal
        text.append("\n" if state == Change.REMASKED else "")
        text.append(look.fill or f" {look.name} ", style=look.style)
        text.append(f"{look.name} " if look.fill else " ")
    text.append(f"\n{mode.name}\n")
    for level, words in mode.scale:
        text.append(f" {words} "[: 6 if level else 5], style=colours.levels[level])
    for name, what in SYMBOLS:
        text.append(f"\n{name:<6}", style="bold")
        text.append(what)
    return text
