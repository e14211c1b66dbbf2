"""Draw the tokens of one sample, each styled by its last change."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from remdm_tui.render.grid_face import GridFace
from remdm_tui.render.palette import Palette, palette
from remdm_tui.render.ranges import joined
from remdm_tui.render.text_layout import TokenTexts
from remdm_tui.render.text_lines import GAP, Lines
from remdm_tui.render.token_codes import codes_of, styles_of
from remdm_tui.render.typeset import BLANK, HIDDEN, Canvas, Type, typeset
from remdm_tui.render.typeset_grid import typeset_grid
from remdm_tui.widgets.strips import RunStrip, shown_style

SLACK = 8
"""Blank rows that may follow a text which does not fit on the screen."""
RUN = 32
"""Bytes that one run of a style takes besides its text."""


class TokenView(ScrollView):
    """Draws by line: rows are cached as strips, and only rows that changed are repainted."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._pieces: TokenTexts | None = None
        self._type: Type | None = None
        self._face: GridFace | None = None
        """how the tokens lie if they are a grid; None: as lines of text"""
        self._canvas: Canvas | None = None
        self._page = BLANK
        self._cursor: int | None = None
        self.marked = range(0)
        """neighbouring positions that are drawn as the cursor is"""
        self._message = ""
        self._lines = Lines(1)
        self._strips: dict[int, tuple[bytes, Strip]] = {}
        """by row of the whole text, with what it shows"""
        self._keys: dict[int, bytes] = {}
        """by row of the present page"""
        self._drawn_keys: dict[int, bytes] = {}
        """what each row was last to be painted as; Textual may make more lines than it paints"""
        self._next, self._left = 0, False
        """the row at which the paint continues, and whether it has to"""
        self._styles: dict[int, Style] = {}
        self._base_style: Style | None = None
        self._palette: Palette = palette(ascii_only=ascii_only)

    def use_pieces(self, pieces: TokenTexts, face: GridFace | None = None) -> None:
        """Use another vocabulary, whose tokens are lines of text or a grid."""
        self._pieces, self._face = pieces, face
        self._cast()

    def use_palette(self, colours: Palette) -> None:
        """Use another palette."""
        self._palette = colours
        self._cast()
        self._restyle()

    def _cast(self) -> None:
        if self._pieces is not None:
            self._type = Type.of(self._pieces, {state: self._palette.looks[state].fill for state in HIDDEN})

    def message(self, text: str) -> None:
        """Show a message instead of tokens until the next `show`."""
        self._message, self._canvas = text, None
        self._strips.clear()
        self.virtual_size = Size(0, 0)
        self.refresh()

    def show(self, canvas: Canvas, room: int | None = None) -> None:
        """Draw a canvas; costs a repaint of the rows that differ from what is on screen.

        room: draw about this number of bytes now; `go_on` draws what is left.
        """
        if self._type is None:
            return
        fresh = self._canvas is None
        self._canvas = canvas
        self._lay_out(canvas, self._type)
        if fresh:
            self.refresh()
            return
        self.go_on(room)

    @property
    def whole(self) -> bool:
        """Whether all of what was shown is drawn."""
        return not self._left

    def go_on(self, room: int | None = None) -> None:
        """Continue drawing the canvas where the last paint ended, wrapping around."""
        top, width = self.scroll_offset.y, self._width
        shown = range(top, top + self.size.height)
        keys = {row: self._key(row) for row in shown}
        dirty = [row for row, key in keys.items() if self._drawn_keys.get(row) != key]
        if room is not None and dirty:
            first = bisect_left(dirty, self._next) % len(dirty)
            dirty = dirty[first:] + dirty[:first]
            sizes = list(accumulate(map(self._bytes, dirty)))
            now = max(1, bisect_right(sizes, room))
            self._next = dirty[now - 1] + 1
            dirty, self._left = dirty[:now], now < len(dirty)
        else:
            self._left = False
        self._drawn_keys |= {row: keys[row] for row in dirty}
        if dirty:
            # neighbouring rows are one region: Textual walks over the regions many times
            blocks = joined([range(row, row + 1) for row in dirty])
            self.refresh(*(Region(0, rows.start - top, width, len(rows)) for rows in blocks))

    def _bytes(self, row: int) -> int:
        """Estimate the bytes of a row."""
        firsts, count = self._page.firsts, len(self._page.keys)
        lines = [line for line in self._lines.lines_of(row) if line < count]
        return self.size.width + RUN * max(1, sum(firsts[line + 1] - firsts[line] for line in lines))

    def _key(self, row: int) -> bytes:
        """Return a key of a row's content; empty below the text."""
        if row not in self._keys:
            keys, lines = self._page.keys, self._lines.lines_of(row)
            self._keys[row] = b"|".join([keys[line] for line in lines if line < len(keys)])
        return self._keys[row]

    def _coded(self, canvas: Canvas) -> NDArray[np.uint8]:
        return codes_of(canvas, self._pieces, self.marked, self._cursor)

    def _lay_out(self, canvas: Canvas, type_: Type) -> None:
        """Typeset the canvas, and make room for its lines."""
        # the column of the scrollbar is reserved whether or not it is shown
        length, width, height = len(canvas.tokens), max(1, self.scrollable_content_region.width), self.size.height
        face = None if self._face is None else self._face.fitting(length, width, height)
        lines = Lines.of(length, width, height) if face is None else Lines(width)
        if lines != self._lines:
            self._lines = lines
            self._strips.clear()
        codes = self._coded(canvas)
        if face is None:
            self._page = typeset(canvas, codes, type_, lines.width)
        else:
            self._page = typeset_grid(canvas, codes, type_, face)
        self._keys.clear()
        self._make_room(Size(self.size.width, lines.height(len(self._page.keys))))

    def _make_room(self, needed: Size) -> None:
        """Set the scrollable height; a change lays out the whole screen, so a few rows do not change it."""
        now = self.virtual_size
        height = max(needed.height, self.size.height)
        if needed.width != now.width or not height <= now.height <= height + SLACK:
            self.virtual_size = Size(needed.width, height if height == self.size.height else height + SLACK // 2)
            # Textual looks at it when a widget's own size changes alone
            self._refresh_scrollbars()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of a region for the terminal.

        The grid has no border, padding or tint of its own, and its styles have passed the line filters already:
        Textual's general way of drawing would only copy every line four times.
        """
        width, base, top = self._width, self._base(), self.scroll_offset.y
        if self._canvas is None:
            strips = [self._message_line(y, width, base) for y in crop.line_range]
        else:
            strips = [self._line(y + top, width, base) for y in crop.line_range]
        first, last = crop.column_span
        return strips if first == 0 and last >= width else [strip.crop(first, last) for strip in strips]

    @property
    def _width(self) -> int:
        """Columns that no scrollbar covers: a row below one would be cut, and the bar drawn with every row."""
        return self.size.width - (self.styles.scrollbar_size_vertical if self.show_vertical_scrollbar else 0)

    def render_line(self, y: int) -> Strip:
        return self.render_lines(Region(0, y, self.size.width, 1))[0]

    def _message_line(self, y: int, width: int, base: Style) -> Strip:
        text = self._message if y == self.size.height // 2 else ""
        return Strip([Segment(text.center(width)[:width], base)], width)

    def _line(self, y: int, width: int, base: Style) -> Strip:
        """Return a row of the whole text, visible or not."""
        key = self._key(y)
        if self._drawn_keys.get(y) != key:
            # made for a paint of something else: whether it was painted too is not known
            self._drawn_keys.pop(y, None)
        if not key:
            self._strips.pop(y, None)
            return Strip.blank(width, base)
        drawn = self._strips.get(y)
        if drawn is not None and drawn[0] == key and drawn[1].cell_length == width:
            return drawn[1]
        strip = self._row(y, width, base)
        self._strips[y] = (key, strip)
        return strip

    def _row(self, y: int, width: int, base: Style) -> Strip:
        """Return one row of tokens."""
        page, styles = self._page, self._all_styles()
        texts: list[str] = []
        looks: list[Style] = []
        used = 0
        for line in self._lines.lines_of(y):
            if line >= len(page.keys):
                break
            if used:
                gap = self._lines.width + GAP - used
                texts.append(" " * gap)
                looks.append(base)
                used += gap
            runs = slice(page.firsts[line], page.firsts[line + 1])
            texts += page.texts[runs]
            looks += map(styles.__getitem__, page.codes[runs])
            used += page.used[line]
        if used < width:
            texts.append(" " * (width - used))
            looks.append(base)
        strip = RunStrip(texts, looks, max(used, width))
        # one token may be wider than the terminal
        return strip if used <= width else strip.crop(0, width)

    def _base(self) -> Style:
        """Return the widget's own style, cached per theme."""
        if self._base_style is None:
            self._base_style = shown_style(self, self.rich_style)
        return self._base_style

    def _all_styles(self) -> dict[int, Style]:
        """Return the style of every code."""
        if not self._styles:
            base = self.rich_style
            own = styles_of(self._palette)
            self._styles = {code: shown_style(self, base + style) for code, style in own.items()}
        return self._styles

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
        if self._canvas is not None and self._type is not None and self.size.height:
            self._lay_out(self._canvas, self._type)
        self.refresh()
