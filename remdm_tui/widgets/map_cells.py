"""The cells of the map: every position at every step, with the step on screen and the selected position marked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from engine.sampling.trace import Record
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.plate import Bytes, Plate, column
from remdm_tui.render.plate_modes import MODES, Levels, Mode, Scan
from remdm_tui.render.plate_paint import MARKED, NONE, Marks, Painting
from remdm_tui.render.plate_pool import Pool
from remdm_tui.render.viewport import Viewport, cells_at, pan, resized, reveal, zoom
from remdm_tui.widgets.colour_system import colour_system

READING = 0.008
"""Seconds that one tick may spend on reading columns."""
PLATES = 4
"""Plates that are kept, so that going back to a branch or a sample reads nothing again."""
NOTCH = 1.5
"""By how much one notch of the wheel zooms."""
FEW = ("standard", "windows")
"""Colour systems with too few colours for the shades."""
BLOCK = 8
"""Characters of a line that are made together."""
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


class MapCells(Widget, can_focus=True):
    """The cells, drawn line by line; only columns that changed are painted again."""

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

    class Refused(Message):
        """A key can change nothing now; the sentence says why."""

        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self.view: Viewport | None = None
        self.mode: Mode = MODES["state"]
        self.marks: Marks = paint.HALF
        self._plates: list[Plate] = []
        self._pool: Pool | None = None
        self._levels: Levels | None = None
        self._step = 0
        self._at: int | None = None
        self._marked: tuple[range, range] = range(0), range(0)
        """rows and columns of cells that are marked"""
        self._painting: Painting | None = None
        self._blocks: dict[tuple[int, int], list[Segment]] = {}
        """parts of lines, by line and block"""
        self._table: list[paint.RGB] = []
        self._styles: dict[int, Style] = {}

    # -- what is shown

    def show(self, record: Record, sample: int, total: int, step: int, at: int | None) -> bool:
        """Show a sample of a run of `total` steps, at a step and a selected position; return whether all is drawn.

        Reads new columns for a moment at most: call it again until it returns True.
        """
        plate = self._plate(record, sample)
        whole = plate.read(READING)
        view = Viewport.whole(plate.positions, max(total, len(record)) + 1)
        if self.view is not None:
            view = resized(self.view, view.positions, view.steps)
        moved = (step, at) != (self._step, self._at)
        if moved and not view.is_whole:
            view = reveal(view, view.top if at is None else at, step)
        self._step, self._at = step, at
        self.view = view
        self._draw(plate)
        return whole

    def use(self, view: Viewport | None, mode: Mode, marks: Marks) -> None:
        """Show the same part in the same way as another map."""
        self.mode, self.marks = mode, marks
        if self.view is not None and view is not None:
            self.view = resized(view, self.view.positions, self.view.steps)
        self._again()

    def recolour(self) -> None:
        """Apply the colours of the theme."""
        self._table, self._painting = [], None
        self._styles.clear()
        self._again()

    def levels(self, record: Record, sample: int, step: int) -> Bytes | None:
        """Return the level of each position of the text in the colour mode; None while earlier steps are being read.

        Call it for modes with levels alone.
        """
        mode = self.mode
        if not mode.scans:
            codes = mode.encode(column(record, sample, step, mode.reads), Scan(0))
            return mode.text_levels(codes[0])
        plate = self._plate(record, sample)
        plate.read(READING)
        if self._levels is None or self._levels.plate is not plate or self._levels.mode is not mode:
            self._levels = Levels(plate, mode)
        return self._levels.at(step)

    @property
    def effective_marks(self) -> Marks:
        """The marks that this terminal can show: signs tell the state where colours cannot."""
        if self._ascii:
            return paint.ASCII
        return paint.SIGNS if self.app.no_color or colour_system(self.app) in FEW else self.marks

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        marks = self.effective_marks
        return self.size.height * marks.rows, self.size.width * marks.columns

    def _plate(self, record: Record, sample: int) -> Plate:
        for plate in self._plates:
            if plate.is_of(record, sample, self.mode.reads):
                if plate is not self._plates[0]:
                    self._plates.remove(plate)
                    self._plates.insert(0, plate)
                return plate
        asked = record, sample, self.mode.reads
        kept = [plate for plate in self._plates if (plate.record, plate.sample, plate.reads) != asked]
        self._plates = [Plate(record, sample, reads=self.mode.reads), *kept[: PLATES - 1]]
        return self._plates[0]

    def _again(self) -> None:
        if self._plates:
            # where the record is damaged the next call of `show` finds it too, and its caller says so
            with suppress(ValueError):
                first = self._plates[0]
                plate = self._plate(first.record, first.sample)
                plate.read(READING)
                self._draw(plate)

    def _draw(self, plate: Plate) -> None:
        """Paint what differs from what is on screen."""
        view, grid, pool = self.view, self.grid, self._pool
        if view is None or not grid[0] or not grid[1]:
            return
        if pool is None or pool.plate is not plate or (pool.view, pool.grid, pool.mode) != (view, grid, self.mode):
            self._pool, self._painting = Pool(plate, view, grid, self.mode), None
            changed: list[range] = [range(grid[1])]
        else:
            changed = [pool.update()]
        rows, columns = cells_at(view, grid, -1 if self._at is None else self._at, self._step)
        if self._painting is None or rows != self._marked[0]:
            changed = [range(grid[1])]
        elif columns != self._marked[1]:
            changed += [self._marked[1], columns]
        self._marked = rows, columns
        self._paint(changed)

    def _paint(self, changed: Sequence[range]) -> None:
        """Paint columns of cells again."""
        marks, pool = self.effective_marks, self._pool
        assert pool is not None
        width = marks.columns
        wide = [range(cells.start // width, -(-cells.stop // width)) for cells in changed if cells]
        for characters in _joined(wide):
            cells = slice(characters.start * width, characters.stop * width)
            colours = paint.colours_of(pool.worst[:, cells], pool.share[:, cells], pool.mode)
            colours[list(self._marked[0])] |= MARKED
            in_part = [x - cells.start for x in self._marked[1] if cells.start <= x < cells.stop]
            colours[:, in_part] |= MARKED
            made = marks.paint(colours)
            if self._painting is None:
                self._painting = made
                self._blocks.clear()
                self.refresh()
                return
            part = slice(characters.start, characters.stop)
            self._painting.signs[:, part] = made.signs
            self._painting.front[:, part] = made.front
            self._painting.back[:, part] = made.back
            for block in range(characters.start // BLOCK, -(-characters.stop // BLOCK)):
                for y in range(self.size.height):
                    self._blocks.pop((y, block), None)
            self.refresh(Region(characters.start, 0, len(characters), self.size.height))

    # -- lines

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of a region; there is no border or padding that Textual's general way would draw."""
        first, last = crop.column_span
        strips = [self.render_line(y) for y in crop.line_range]
        return strips if (first, last) == (0, self.size.width) else [strip.crop(first, last) for strip in strips]

    def render_line(self, y: int) -> Strip:
        painting, width = self._painting, self.size.width
        if painting is None or painting.signs.shape[1] != width or y >= len(painting.signs):
            return Strip.blank(width, self._style(NONE, NONE))
        blocks = [
            self._blocks.get((y, block)) or self._block(painting, y, block) for block in range(-(-width // BLOCK))
        ]
        return Strip(chain.from_iterable(blocks), width)

    def _block(self, painting: Painting, y: int, block: int) -> list[Segment]:
        """Return a part of a line and keep it: Textual asks for whole lines, of which one step changes little."""
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        front, back = painting.front[y, part].tolist(), painting.back[y, part].tolist()
        text = painting.signs[y, part].tobytes().decode("utf-32-le")
        made: list[Segment] = []
        begin = 0
        for x in range(1, len(text) + 1):
            if x == len(text) or front[x] != front[begin] or back[x] != back[begin]:
                made.append(Segment(text[begin:x], self._style(front[begin], back[begin])))
                begin = x
        self._blocks[y, block] = made
        return made

    def _style(self, front: int, back: int) -> Style:
        """Return the style of two colours, as the terminal can show it."""
        style = self._styles.get(front << 8 | back)
        if style is None:
            style = self._styles[front << 8 | back] = self._made(front, back)
        return style

    def _made(self, front: int, back: int) -> Style:
        if not self._table:
            page = self.background_colors[1]
            self._table = paint.colour_table(
                self.app.current_theme.dark, (page.r, page.g, page.b), colour_system(self.app)
            )
        if self.effective_marks in paint.BLOCKS:
            style = Style.from_color(_colour(self._table[front]), _colour(self._table[back]))
        else:
            # a sign's colour is the state's; a mark turns it round, which needs no colour
            shown = front % MARKED
            plain = shown < paint.EVENT
            style = self.rich_style if plain else Style.from_color(_colour(self._table[shown]))
            style = self.rich_style + style + Style(reverse=front >= MARKED, bold=not plain)
        segments = [Segment(" ", style)]
        for line_filter in self.get_line_filters():
            segments = line_filter.apply(segments, self.background_colors[1])
        return segments[0].style or style

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._blocks.clear()
        self._table = []
        self.refresh()

    def on_resize(self) -> None:
        self._pool = self._painting = None
        self._again()

    # -- by hand

    def action_zoom(self, by: float) -> None:
        """Zoom about the step on screen and the selected position; a negative factor zooms out."""
        if self.view is not None:
            middle = self.view.top + self.view.rows // 2
            before = self.view
            self._zoom(by if by > 0 else -1 / by, middle if self._at is None else self._at, self._step)
            if self.view == before:
                self.post_message(self.Refused("The largest already" if by > 0 else "The whole run shows already"))

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
                self.post_message(self.Refused("The whole run shows already" if whole else "Already at the edge"))

    def action_whole(self) -> None:
        if self.view is not None:
            if self.view.is_whole:
                self.post_message(self.Refused("The whole run shows already"))
            self._look(Viewport.whole(self.view.positions, self.view.steps))

    def action_marks(self) -> None:
        """Take finer marks, or the coarsest after the finest."""
        if self.effective_marks not in paint.BLOCKS:
            self.post_message(self.Refused("No finer cells without colour"))
            return
        self.marks = paint.BLOCKS[(paint.BLOCKS.index(self.marks) + 1) % len(paint.BLOCKS)]
        self._pool = self._painting = None
        self._styles.clear()
        self._look(self.view)

    def action_row(self, by: int) -> None:
        """Select a neighbour of the selected position."""
        if self.view is not None:
            at = self.view.top if self._at is None else max(0, min(self._at + by, self.view.positions - 1))
            if by and at == self._at:
                self.post_message(self.Refused("No position further"))
            self.post_message(self.CellPointed(self, at, self._step))

    def _look(self, view: Viewport | None) -> None:
        self.view = view
        self._again()
        self.post_message(self.Viewed(self))

    def place_under(self, x: int, y: int) -> tuple[int, int] | None:
        """Return the position and step that a character stands for: of several those of the worst state."""
        marks, pool = self.effective_marks, self._pool
        if pool is None:
            return None
        rows = range(y * marks.rows, (y + 1) * marks.rows)
        columns = range(x * marks.columns, (x + 1) * marks.columns)
        if rows.stop > pool.grid[0] or columns.stop > pool.grid[1]:
            return None
        return pool.find(rows, columns)

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


def _joined(parts: Sequence[range]) -> list[range]:
    """Return the ranges in order, those that touch as one."""
    joined: list[range] = []
    for part in sorted(parts, key=lambda part: part.start):
        if joined and part.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, part.stop))
        else:
            joined.append(part)
    return joined


def _colour(rgb: paint.RGB) -> Color:
    return Color.from_rgb(*rgb)
