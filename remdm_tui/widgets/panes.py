"""Token grids side by side with titles; a single one has no frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import Layout, WidgetPlacement
from textual.message import Message
from textual.widget import Widget

from remdm_tui.render.grid_face import GridFace
from remdm_tui.render.palette import Palette
from remdm_tui.render.plate_modes import MODES, Mode
from remdm_tui.render.text_layout import TokenTexts
from remdm_tui.render.text_lines import Split
from remdm_tui.widgets.token_grid import TokenGrid
from remdm_tui.widgets.trajectory_map import TrajectoryMap

SMALLEST = (38, 11)
"""Columns and rows of a pane at least, its frame included."""


@dataclass(frozen=True)
class Caption:
    """The text on a pane's frame: title above, progress below."""

    title: str
    status: str


@dataclass(frozen=True)
class Arrangement:
    """Which panes are shown, and in how many columns."""

    shown: range
    columns: int

    @property
    def rows(self) -> int:
        return -(-len(self.shown) // self.columns)


def arrange(count: int, focus: int, width: int, height: int) -> Arrangement:
    """Return as many of `count` panes as fit, the focused one among them."""
    across, down = max(1, width // SMALLEST[0]), max(1, height // SMALLEST[1])
    fit = max(1, min(count, across * down))
    first = max(0, min(focus - fit + 1, count - fit)) if focus >= fit else 0
    # four are two and two rather than three and one
    columns = min(across, 2 if fit == 4 and down > 1 else fit)
    return Arrangement(range(first, first + fit), columns)


class TextAndMap(Layout):
    """Shares a pane between text and map by its size and the number of positions."""

    name = "text-and-map"

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> list[WidgetPlacement]:  # fmt: skip
        assert isinstance(parent, PaneView)
        parent.pre_layout(self)
        regions = [size.region] * len(children)
        if len(children) == 2:
            split = parent.split(size)
            text = Region(0, 0, split.width, split.height)
            left, top = (split.width + 1, 0) if split.beside else (0, split.height)
            regions = [text, Region(left, top, max(0, size.width - left), max(0, size.height - top))]
        return [
            WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, child)
            for region, child in zip(regions, children, strict=True)
        ]


class PaneView(Vertical):
    """A grid in its frame, with the map of its run below or beside it."""

    _frame_alone = False
    """whether a refresh is for the frame's first and last line"""

    def __init__(self, number: int, ascii_only: bool) -> None:
        super().__init__(classes="pane")
        self.can_focus = False
        self.number, self.positions = number, 1
        self.face: GridFace | None = None
        self.grid = TokenGrid(ascii_only=ascii_only, id="grid" if number == 0 else None)
        self.map = TrajectoryMap(ascii_only=ascii_only, id="map" if number == 0 else None)

    @property
    def layout(self) -> Layout:
        return TEXT_AND_MAP

    def compose(self) -> ComposeResult:
        yield self.grid
        yield self.map

    def use_length(self, positions: int) -> None:
        """Share the pane between a text of this length and its map."""
        if positions != self.positions:
            self.positions = positions
            self._share()

    def use_pieces(self, pieces: TokenTexts, face: GridFace | None) -> None:
        """Use another vocabulary, whose tokens are lines of text or a grid."""
        self.grid.use_pieces(pieces, face)
        if face != self.face:
            self.face = face
            self._share()

    def _share(self) -> None:
        """Share the pane again."""
        # a widget that asks for another layout is laid out by its parent again, and does not lay out its children again
        self.grid.refresh(layout=True)

    def split(self, size: Size) -> Split:
        """Return what the grid has of the pane; its map has the rest."""
        if self.face is not None and self.positions <= self.face.layout.cells:
            return Split.around(self.face, size.width, size.height)
        return Split.of(self.positions, size.width, size.height)

    def write(self, title: str, subtitle: str) -> None:
        """Write on the frame; redraw nothing else."""
        above, below = Content(title), Content(subtitle)
        self._frame_alone = True
        try:
            if self.border_title != above.markup:
                self.border_title = above
            if self.border_subtitle != below.markup:
                self.border_subtitle = below
        finally:
            self._frame_alone = False

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:  # fmt: skip
        if self._frame_alone:
            width, height = self.outer_size
            regions = tuple(Region(-1, y, width, 1) for y in (-1, height - 2))
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def on_click(self, event: events.Click) -> None:
        self.post_message(Panes.PaneChosen(self.number))


TEXT_AND_MAP = TextAndMap()


class Panes(Container):
    """Up to four grids; posts `PaneChosen` on a click."""

    DEFAULT_CSS = """
    Panes { height: 1fr; layout: grid; grid-size: 1 1; grid-gutter: 0; }
    Panes > PaneView { width: 1fr; height: 1fr; }
    """

    class PaneChosen(Message):
        """A pane was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, most: int, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._panes = tuple(PaneView(number, ascii_only) for number in range(most))
        self._count, self._focus = 1, 0
        for pane in self._panes[1:]:
            pane.grid.can_focus = pane.map.cells.can_focus = False
        self.arrangement = Arrangement(range(1), 1)
        self._captions: tuple[Caption, ...] = ()

    def compose(self) -> ComposeResult:
        for pane in self._panes:
            pane.display = pane.number == 0
            yield pane

    @property
    def grids(self) -> tuple[TokenGrid, ...]:
        return tuple(pane.grid for pane in self._panes)

    @property
    def maps(self) -> tuple[TrajectoryMap, ...]:
        return tuple(pane.map for pane in self._panes)

    @property
    def hidden(self) -> int:
        """The number of panes that do not fit."""
        return self._count - len(self.arrangement.shown)

    def use_palette(self, colours: Palette) -> None:
        for grid in self.grids:
            grid.use_palette(colours)

    def use_pieces(self, pieces: TokenTexts, face: GridFace | None = None) -> None:
        for pane in self._panes:
            pane.use_pieces(pieces, face)

    def use_length(self, positions: int) -> None:
        """Arrange the panes for texts of this length."""
        for pane in self._panes:
            pane.use_length(positions)

    def use_mode(self, mode: Mode) -> None:
        """Colour the maps by a mode; the texts' levels come with their canvases."""
        for one in self.maps:
            one.cells.use(one.cells.view, MODES["state"] if mode.network else mode, one.cells.marks)
            one.caption()

    def show_panes(self, count: int, focus: int) -> None:
        """Show `count` panes; 1 is a grid without a frame."""
        if (count, focus) != (self._count, self._focus):
            self._count, self._focus = count, focus
            focused = any(grid.has_focus for grid in self.grids)
            on_map = any(one.cells.has_focus for one in self.maps)
            for pane in self._panes:
                pane.grid.can_focus = pane.map.cells.can_focus = pane.number == focus
            if focused:
                self.grids[focus].focus(scroll_visible=False)
            elif on_map:
                self.maps[focus].cells.focus(scroll_visible=False)
            self._place()

    def caption(self, captions: Sequence[Caption]) -> None:
        """Write on the frames."""
        now = tuple(captions)
        if now == self._captions:
            return
        self._captions = now
        for pane, reading in zip(self._panes, now):
            mark = (">" if self._ascii else "►") if pane.number == self._focus else " "
            pane.write(f"{mark}{reading.title} ", f" {reading.status} ")

    def _place(self) -> None:
        several = self._count > 1
        now = arrange(self._count, self._focus, self.size.width, self.size.height)
        self.arrangement, self._captions = now, ()
        self.set_class(several, "several")
        self.styles.grid_size_columns, self.styles.grid_size_rows = now.columns, now.rows
        for pane in self._panes:
            pane.display = pane.number in now.shown
            pane.set_class(several and pane.number == self._focus, "focused")
            # an odd one out takes the rest of its row
            odd = len(now.shown) % now.columns and pane.number == now.shown[-1]
            pane.styles.column_span = now.columns - len(now.shown) % now.columns + 1 if odd else 1

    def on_resize(self) -> None:
        if self._count > 1:
            self._place()
