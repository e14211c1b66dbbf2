"""The map under hand: its keys, the wheel and clicks."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from remdm_tui.render import plate_paint as paint
from remdm_tui.render.viewport import Viewport, pan, zoom
from remdm_tui.widgets.map_view import MapView

NOTCH = 1.5
"""By how much one notch of the wheel zooms."""
SHIFT = 8
"""A pan moves by this part of what is shown."""

MAP_KEYS = (
    Binding(
        "up,k", "row(-1)", "Position before", id="map-up", show=False, tooltip="Select the position above on the map"
    ),
    Binding(
        "down,j", "row(1)", "Position after", id="map-down", show=False, tooltip="Select the position below on the map"
    ),
    Binding(
        "enter",
        "row(0)",
        "History of the position",
        id="map-select",
        show=False,
        tooltip="Open the history of the selected position",
    ),
    Binding("plus,equals_sign", "zoom(2)", "Zoom in", id="map-in", key_display="+", tooltip="Zoom in at the step"),
    Binding("minus", "zoom(-2)", "Zoom out", id="map-out", key_display="-", tooltip="Zoom out"),
    Binding("0", "whole", "Whole run", id="map-whole", tooltip="Show every position and step"),
    Binding("shift+left,H", "pan(0,-1)", "Move left", id="map-pan-left", show=False, tooltip="Show earlier steps"),
    Binding("shift+right,L", "pan(0,1)", "Move right", id="map-pan-right", show=False, tooltip="Show later steps"),
    Binding("shift+up", "pan(-1,0)", "Move up", id="map-pan-up", show=False, tooltip="Show positions above"),
    Binding("shift+down", "pan(1,0)", "Move down", id="map-pan-down", show=False, tooltip="Show positions below"),
    Binding("d", "marks", "Finer cells", id="map-marks", tooltip="Half blocks, quadrants or braille"),
)
"""Keys that work while the map has the focus."""


class MapCells(MapView, can_focus=True):
    """Zooms, pans, and selects a position at a step."""

    DEFAULT_CSS = "MapCells { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [*MAP_KEYS]

    class CellPointed(Message):
        """A position at a step was selected."""

        def __init__(self, cells: MapCells, position: int, step: int) -> None:
            super().__init__()
            self.cells, self.position, self.step = cells, position, step

    class Viewed(Message):
        """Zoom, colour mode or marks were changed by hand."""

        def __init__(self, cells: MapCells) -> None:
            super().__init__()
            self.cells = cells

    class ViewRefused(Message):
        """A key can change nothing now; the sentence says why."""

        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    def action_zoom(self, by: float) -> None:
        """Zoom about the step on screen and the selected position; a negative factor zooms out."""
        if self.view is not None:
            middle = self.view.top + self.view.rows // 2
            before = self.view
            self._zoom(by if by > 0 else -1 / by, middle if self._at is None else self._at, self._step)
            if self.view == before:
                self.post_message(self.ViewRefused("The largest already" if by > 0 else "The whole run shows already"))

    def _zoom(self, by: float, position: int, step: int) -> None:
        assert self.view is not None
        self._look(zoom(self.view, by, position, step))

    def action_pan(self, rows: int, columns: int) -> None:
        """Move by a part of what is shown."""
        if self.view is not None:
            by = max(1, self.view.rows // SHIFT), max(1, self.view.columns // SHIFT)
            before = self.view
            self._look(pan(self.view, rows * by[0], columns * by[1]))
            if self.view == before:
                whole = self.view.is_whole
                self.post_message(self.ViewRefused("The whole run shows already" if whole else "Already at the edge"))

    def action_whole(self) -> None:
        if self.view is not None:
            if self.view.is_whole:
                self.post_message(self.ViewRefused("The whole run shows already"))
            self._look(Viewport.whole(self.view.positions, self.view.steps))

    def action_marks(self) -> None:
        """Take finer marks, or the coarsest after the finest."""
        if self.effective_marks not in paint.BLOCKS:
            self.post_message(self.ViewRefused("No finer cells without colour"))
            return
        self.marks = paint.BLOCKS[(paint.BLOCKS.index(self.marks) + 1) % len(paint.BLOCKS)]
        self._pool = None
        self._picture.clear()
        self._styles.clear()
        self._look(self.view)

    def action_row(self, by: int) -> None:
        """Select a neighbour of the selected position."""
        if self.view is not None:
            at = self.view.top if self._at is None else max(0, min(self._at + by, self.view.positions - 1))
            if by and at == self._at:
                self.post_message(self.ViewRefused("No further position"))
            self.post_message(self.CellPointed(self, at, self._step))

    def _look(self, view: Viewport | None) -> None:
        self.view = view
        self._again()
        self.post_message(self.Viewed(self))

    def on_click(self, event: events.Click) -> None:
        with suppress(ValueError):
            if (place := self.place_under(event.x, event.y)) is not None:
                self.post_message(self.CellPointed(self, *place))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._scroll(event, -1, NOTCH)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._scroll(event, 1, 1 / NOTCH)

    def on_mouse_scroll_left(self, event: events.MouseScrollLeft) -> None:
        event.stop()
        self.action_pan(0, -1)

    def on_mouse_scroll_right(self, event: events.MouseScrollRight) -> None:
        event.stop()
        self.action_pan(0, 1)

    def _scroll(self, event: events.MouseEvent, by: int, factor: float) -> None:
        """Zoom about what is under the pointer; with shift or ctrl move along the steps or the positions."""
        event.stop()
        view, grid, marks = self.view, self.grid, self.effective_marks
        if view is None or not grid[0] or not grid[1]:
            return
        if event.shift:
            self.action_pan(0, by)
        elif event.ctrl:
            self.action_pan(by, 0)
        else:
            position = view.top + event.y * marks.rows * view.rows // grid[0]
            step = view.left + event.x * marks.columns * view.columns // grid[1]
            self._zoom(factor, position, step)
