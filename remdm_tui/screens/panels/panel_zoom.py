"""The panels that have a digit: it focuses the panel, zooms it, and gives the room back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget

TEXT, MAP, STEP, KNOBS, CURVES = "text", "map", "step", "knobs", "curves"
BESIDE = (STEP, KNOBS, CURVES)
"""Panels beside the text; where there is no room for them, a drawer over its right half shows one."""
DIGITS = (
    Binding("1", "number('text')", "Text", id="panel-text", show=False, tooltip="Go to the text; again: zoom it"),
    Binding("2", "number('map')", "Map", id="map", tooltip="Go to the map; again: zoom it"),
    Binding("3", "number('step')", "This step", id="panel-step", show=False, tooltip="Go to the figures; again: zoom"),
    Binding("4", "number('knobs')", "Knobs", id="panel-knobs", show=False, tooltip="Go to the knobs; again: zoom"),
    Binding("5", "number('curves')", "Curves", id="panel-curves", show=False, tooltip="Go to the curves; again: zoom"),
)
PANEL_KEYS = {TEXT: "panel-text", MAP: "map", STEP: "panel-step", KNOBS: "panel-knobs", CURVES: "panel-curves"}
"""Binding ids of the digits by panel, for titles."""


class PanelZoom:
    """Changes classes of the screen; the style sheet says what each of them hides and shows."""

    def __init__(
        self, screen: Screen[Any], panels: Mapping[str, Callable[[], Widget]], changed: Callable[[], None]
    ) -> None:
        """panels: return the widget that takes the focus; changed: is called when the panels have their new sizes."""
        self._screen, self._panels, self._changed = screen, panels, changed
        self.zoomed = ""
        """the panel in place of all others; empty: none"""
        self.drawer = ""
        """the panel that is shown over the text; empty: none"""

    def press(self, name: str) -> None:
        """Focus a panel; if it has the focus already zoom it; if it is zoomed give the room back."""
        if self.zoomed == name:
            self.restore()
        elif self.drawer == name or self._panels[name]().has_focus:
            self.restore()
            self._zoom(name)
        elif self.zoomed or self.drawer:
            self.restore()
            # only then is it known what there is room for
            self._screen.call_after_refresh(self._show, name)
        else:
            self._show(name)

    def restore(self) -> bool:
        """Give the room of a zoomed panel or of a drawer back; return whether there was one."""
        if not (self.zoomed or self.drawer):
            return False
        self._screen.remove_class("-drawer", "-zoom-side", *(f"-zoom-{name}" for name in (TEXT, MAP)))
        self._screen.remove_class(*(f"-only-{name}" for name in BESIDE))
        self.zoomed = self.drawer = ""
        self._screen.set_focus(None)
        return True

    def _show(self, name: str) -> None:
        """Focus a panel; open it where it is hidden."""
        widget = self._panels[name]()
        if widget.is_on_screen and widget.size.height:
            self._screen.set_focus(widget)
        elif name in BESIDE:
            self.drawer = name
            self._screen.add_class("-drawer", f"-only-{name}")
            self._screen.call_after_refresh(self._laid_out, widget)
        else:
            self._zoom(name)

    def _zoom(self, name: str) -> None:
        self.zoomed = name
        if name in BESIDE:
            self._screen.add_class("-zoom-side", f"-only-{name}")
        else:
            self._screen.add_class(f"-zoom-{name}")
        self._screen.call_after_refresh(self._laid_out, self._panels[name]())

    def _laid_out(self, widget: Widget) -> None:
        """Focus a panel, which is possible when the style sheet has been applied."""
        self._screen.set_focus(widget)
        self._changed()
