"""Draw the cells of the map: every position at every step, with the step on screen and the selected position marked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from engine.sampling.trace import Record
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.plate import Bytes, Plate, column
from remdm_tui.render.plate_modes import MODES, Levels, Mode, Scan
from remdm_tui.render.plate_paint import MARKED, NONE, Marks
from remdm_tui.render.plate_pool import Pool
from remdm_tui.render.ranges import joined
from remdm_tui.render.viewport import Viewport, cells_at, resized, reveal
from remdm_tui.widgets.colour_system import colour_system
from remdm_tui.widgets.painted_map import PaintedMap, block_style, recent_plates, sign_style
from remdm_tui.widgets.strips import shown_style

READING = 0.008
"""Seconds that one tick may spend on reading columns."""
FEW = ("standard", "windows")
"""Colour systems with too few colours for the shades."""


class MapView(Widget):
    """The cells, drawn line by line; only columns that changed are painted again."""

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
        self._picture = PaintedMap(self._style)
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
        self._table = []
        self._picture.clear()
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
        marks, size = self.effective_marks, self.size
        return size.height * marks.rows, size.width * marks.columns

    def _plate(self, record: Record, sample: int) -> Plate:
        self._plates = recent_plates(self._plates, record, sample, self.mode.reads)
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
            self._pool = Pool(plate, view, grid, self.mode)
            self._picture.clear()
            changed: list[range] = [range(grid[1])]
        else:
            changed = [pool.update()]
        rows, columns = cells_at(view, grid, -1 if self._at is None else self._at, self._step)
        if self._picture.is_empty or rows != self._marked[0]:
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
        for characters in joined(wide):
            cells = slice(characters.start * width, characters.stop * width)
            colours = paint.colours_of(pool.worst[:, cells], pool.share[:, cells], pool.mode)
            rows, columns = self._marked
            colours[rows.start : rows.stop] |= MARKED
            colours[:, max(columns.start - cells.start, 0) : max(columns.stop - cells.start, 0)] |= MARKED
            made = marks.paint(colours)
            if self._picture.is_empty:
                self._picture.replace(made)
                self.refresh()
                return
            self._picture.patch(made, characters)
            self.refresh(Region(characters.start, 0, len(characters), self.size.height))

    # -- lines

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of a region; there is no border or padding that Textual's general way would draw."""
        width = self.size.width
        first, last = crop.column_span
        strips = [self._line(y, width) for y in crop.line_range]
        return strips if (first, last) == (0, width) else [strip.crop(first, last) for strip in strips]

    def render_line(self, y: int) -> Strip:
        return self._line(y, self.size.width)

    def _line(self, y: int, width: int) -> Strip:
        if self._picture.has_line(y, width):
            return self._picture.line(y)
        return Strip.blank(width, self._style(NONE, NONE))

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
            style = block_style(self._table, front, back)
        else:
            style = sign_style(self._table, front, self.rich_style)
        return shown_style(self, style)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._picture.drop_lines()
        self._table = []
        self.refresh()

    def on_resize(self) -> None:
        self._pool = None
        self._picture.clear()
        self._again()

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
