"""What the colours of the tokens mean: below the text, and in a legend that can be pinned."""

from __future__ import annotations

from textual.screen import Screen

from engine.records import Change, GridLayout
from engine.strategies import SIMPLEX
from remdm_tui.render.canvas import FAINT_BELOW
from remdm_tui.render.palette import Palette, palette
from remdm_tui.render.typeset_grid import DIFFERS, REPEATED
from remdm_tui.screens.panels.controls import Controls
from remdm_tui.screens.panels.text import TextPanel
from remdm_tui.widgets.colour_system import colour_system
from remdm_tui.widgets.legend import LegendPanel


class ColourKey:
    """Says on one screen what the colours mean."""

    def __init__(self, screen: Screen[None], controls: Controls, text: TextPanel) -> None:
        self._screen, self._controls, self._text = screen, controls, text
        self._options = controls.options
        self.pinned: LegendPanel | None = None
        self._layout: GridLayout | None = None

    @property
    def palette(self) -> Palette:
        """The colours of the tokens under the theme, as the terminal has them."""
        return palette(self._screen.app.current_theme.dark, self._options.ascii, colour_system(self._screen.app))

    def use_layout(self, layout: GridLayout | None) -> None:
        """Explain the marks of a grid, if the tokens are one."""
        if layout != self._layout:
            self._layout = layout
            self.draw(self.palette)

    def draw(self, colours: Palette) -> None:
        """Write what the colours mean below the text, and in the pinned legend."""
        mode, session = self._text.panes.mode, self._controls.session
        if self.pinned is not None:
            self.pinned.show(colours, self._controls.keys["legend"], mode)
        if mode.levels:
            levels = " ".join(f"[{colours.levels[level]}] {words} [/]" for level, words in mode.scale)
            self._text.border_subtitle = f"{mode.name}: {levels}"
            return
        absent = set() if self._options.prompt else {Change.LOCKED}
        absent |= set() if session.edits else {Change.EDITED}
        looks = [look for state, look in colours.looks.items() if state not in absent]
        self._text.border_subtitle = " ".join(
            f"[{look.style}]{look.fill}[/]{look.name}" if look.fill else f"[{look.style}] {look.name} [/]"
            for look in looks
        )
        if not SIMPLEX.keys().isdisjoint({session.made.strategy, session.upcoming.strategy}):
            shares = (f"[{style}]<{share:.2g}[/]" for style, share in zip(colours.faint, FAINT_BELOW, strict=True))
            self._text.border_subtitle += f" kept at {' '.join(shares)}"
        if self._layout is not None and self._layout.distinct:
            self._text.border_subtitle += f" [{colours.conflict}]{REPEATED}[/]repeated"
        if session.debug.solution.wanted:
            self._text.border_subtitle += f" [{colours.wrong}]{DIFFERS[self._options.ascii]}[/]wrong"

    def toggle(self) -> None:
        """Pin the legend, or remove it."""
        if self.pinned is None and (self._screen.has_class("-tiny") or self._screen.has_class("-flat")):
            self._controls.say("No room for it here")
        elif self.pinned is None:
            self.pinned = LegendPanel(id="legend", classes="box", markup=False)
            self.draw(self.palette)
            self._text.open_box(self.pinned)
        else:
            self.pinned.remove()
            self.pinned = None
