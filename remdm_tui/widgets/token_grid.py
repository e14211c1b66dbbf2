"""The token grid: every token of one sample in its place, in the style of what just happened to it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.records import Change
from remdm_tui.layout import MASK_WIDTH, Pieces, flow
from remdm_tui.palette import Palette, heat_levels, palette


@dataclass(frozen=True, eq=False)
class Canvas:
    """One sample at one position: arrays [L]; `before` holds the tokens one step earlier."""

    tokens: NDArray[np.int32]
    change: NDArray[np.uint8]
    held: NDArray[np.float32]
    before: NDArray[np.int32]


ROOMY = 6
"""Cells that a token takes on average, generously: what decides whether lines are set apart."""
HIDDEN = (int(Change.MASKED), int(Change.REMASKED))
HEAT = 16
"""Codes of cells from here on are heat levels, below are changes."""


class TokenGrid(ScrollView):
    """Draws by line: rows are cached as strips, and only rows that changed are repainted."""

    DEFAULT_CSS = """
    TokenGrid { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }
    """

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.can_focus = False
        self._ascii = ascii_only
        self._pieces: Pieces | None = None
        self._canvas: Canvas | None = None
        self._heat = False
        self._message = ""
        self._codes: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._rows: NDArray[np.int64] = np.zeros(1, np.int64)
        self._keys: list[bytes] = []
        self._spacing = 1
        self._strips: dict[int, tuple[bytes, Strip]] = {}
        self._styles: dict[int, Style] = {}
        self._base_style: Style | None = None
        self._palette: Palette = palette(ascii_only=ascii_only)

    def use_pieces(self, pieces: Pieces) -> None:
        """The vocabulary of the model."""
        self._pieces = pieces

    def use_palette(self, colours: Palette) -> None:
        """Another theme."""
        self._palette = colours
        self._restyle()

    def use_heat(self, heat: bool) -> None:
        """Colour by confidence instead of by state."""
        self._heat = heat
        if self._canvas is not None:
            self.show(self._canvas)

    def message(self, text: str) -> None:
        """Shown instead of tokens until the next `show`."""
        self._message, self._canvas = text, None
        self._strips.clear()
        self.virtual_size = Size(0, 0)
        self.refresh()

    def show(self, canvas: Canvas) -> None:
        """Draw a canvas; costs a repaint of the rows that differ from what is on screen."""
        if self._pieces is None:
            return
        fresh = self._canvas is None
        self._canvas = canvas
        self._codes = self._coded(canvas)
        self._lay_out(canvas, self._pieces)
        if fresh:
            self.refresh()
            return
        top, spacing, width = self.scroll_offset.y, self._spacing, self.size.width
        dirty = [
            Region(0, row * spacing - top, width, 1)
            for row in range(top // spacing, (top + self.size.height) // spacing + 1)
            if self._differs(row)
        ]
        if dirty:
            self.refresh(*dirty)

    def _differs(self, row: int) -> bool:
        """Whether a row shows something else than when it was drawn last."""
        drawn = self._strips.get(row)
        return drawn is None or drawn[0] != (self._keys[row] if row < len(self._keys) else b"")

    def _coded(self, canvas: Canvas) -> NDArray[np.uint8]:
        if not self._heat:
            return canvas.change
        coloured = (canvas.change == Change.HELD) | (canvas.change == Change.REVEALED)
        return np.where(coloured, HEAT + heat_levels(canvas.held), canvas.change).astype(np.uint8)

    def _lay_out(self, canvas: Canvas, pieces: Pieces) -> None:
        """Wrap the tokens and give every row a key that says all that is drawn in it."""
        change, columns = canvas.change, self._columns
        # lines are set apart where the whole text has room for that
        self._spacing = 2 if len(canvas.tokens) * ROOMY <= columns * (self.size.height // 2) else 1
        widths = pieces.widths[canvas.tokens]
        # a token just remasked keeps its place, so that the eye stays where it was
        widths = np.where(change == Change.REMASKED, pieces.widths[canvas.before], widths)
        widths = np.where(change == Change.MASKED, MASK_WIDTH, widths)
        hidden = (change == Change.MASKED) | (change == Change.REMASKED)
        starts = pieces.starts[canvas.tokens] | hidden
        breaks = pieces.breaks[canvas.tokens] & ~hidden
        self._widths = widths
        self._rows = flow(widths, starts, breaks, columns)
        edges = list(zip(self._rows[:-1].tolist(), self._rows[1:].tolist(), strict=True))
        codes = self._codes
        self._keys = [canvas.tokens[a:b].tobytes() + codes[a:b].tobytes() + widths[a:b].tobytes() for a, b in edges]
        size = Size(columns, len(self._keys) * self._spacing)
        if size != self.virtual_size:
            self.virtual_size = size

    @property
    def _columns(self) -> int:
        return max(1, self.scrollable_content_region.width)

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self._base()
        if self._canvas is None:
            text = self._message if y == self.size.height // 2 else ""
            return Strip([Segment(text.center(width)[:width], base)], width)
        row, between = divmod(y + self.scroll_offset.y, self._spacing)
        if between:
            return Strip.blank(width, base)
        key = self._keys[row] if row < len(self._keys) else b""
        cached = self._strips.get(row)
        if cached is not None and cached[0] == key and cached[1].cell_length == width:
            return cached[1]
        strip = self._row(row).adjust_cell_length(width, base) if key else Strip.blank(width, base)
        self._strips[row] = (key, strip)
        return strip

    def _row(self, row: int) -> Strip:
        """One line of tokens; neighbours of one state share a segment."""
        assert self._canvas is not None
        assert self._pieces is not None
        here = slice(int(self._rows[row]), int(self._rows[row + 1]))
        codes, texts = self._codes[here], self._pieces.texts
        states, widths = self._canvas.change[here].tolist(), self._widths[here].tolist()
        words = [
            self._fill(state, width) if state in HIDDEN else texts[token]
            for token, state, width in zip(self._canvas.tokens[here].tolist(), states, widths, strict=True)
        ]
        edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(words)]
        segments = [Segment("".join(words[a:b]), self._style(int(codes[a]))) for a, b in pairwise(edges)]
        return Strip(segments, sum(widths))

    def _fill(self, state: int, width: int) -> str:
        """A masked position; the space in front keeps neighbours apart, so that positions can be counted."""
        glyph = self._palette.looks[state].fill
        return " " + glyph * (width - 1) if width > 1 else glyph

    def _base(self) -> Style:
        """The widget's own style, looked up once for each theme."""
        if self._base_style is None:
            self._base_style = self.rich_style
        return self._base_style

    def _style(self, code: int) -> Style:
        style = self._styles.get(code)
        if style is None:
            own = self._palette.heat[code - HEAT] if code >= HEAT else self._palette.looks[code].style
            style = self._styles[code] = self._base() + own
        return style

    def _restyle(self) -> None:
        self._styles.clear()
        self._base_style = None
        self._strips.clear()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._restyle()

    def on_resize(self) -> None:
        self._strips.clear()
        if self._canvas is not None and self._pieces is not None:
            self._lay_out(self._canvas, self._pieces)
        self.refresh()
