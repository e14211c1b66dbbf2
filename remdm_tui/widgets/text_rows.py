"""Rows of text in a few styles, which are drawn as they are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, zip_longest
from operator import itemgetter

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from remdm_tui.render.ranges import joined
from remdm_tui.widgets.strips import RunStrip, shown_style

PLAIN, BOLD, DIM = Style.null(), Style(bold=True), Style(dim=True)
STYLE = itemgetter(1)

StyledRow = tuple[tuple[str, Style], ...]
"""Runs of text with their styles, from left to right."""


def row_of(text: Sequence[str], styles: Iterable[Style]) -> StyledRow:
    """Return a row of characters with a style each."""
    runs = groupby(zip(text, styles, strict=True), STYLE)
    return tuple(("".join(character for character, _ in run), style) for style, run in runs)


class TextRows(Widget):
    """Draws only the rows that changed.

    Textual's `Static` parses, wraps and styles all of its text for each change.  This widget has no border, padding
    or tint of its own.
    """

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: tuple[StyledRow, ...] = ()
        """what is written, from the top"""
        self._styles: dict[Style, Style] = {}
        """by what it adds to the widget's own style"""

    def write(self, rows: Sequence[StyledRow]) -> None:
        """Show these rows from the top, each cut or filled up to the width."""
        before, self.rows = self.rows, tuple(rows)
        changed = [y for y, (old, new) in enumerate(zip_longest(before, self.rows)) if old != new]
        if changed:
            blocks = joined([range(y, y + 1) for y in changed])
            self.refresh(*(Region(0, block.start, self.size.width, len(block)) for block in blocks))

    def render_lines(self, crop: Region) -> list[Strip]:
        width = self.size.width
        first, last = crop.column_span
        strips = [self.render_line(y) for y in crop.line_range]
        return strips if first == 0 and last >= width else [strip.crop(first, last) for strip in strips]

    def render_line(self, y: int) -> Strip:
        width, row = self.size.width, self.rows[y] if y < len(self.rows) else ()
        texts, styles = [self._filtered(text) for text, _ in row], [self._style_of(style) for _, style in row]
        used = sum(map(cell_len, texts))
        if used < width:
            texts.append(" " * (width - used))
            styles.append(self._style_of(PLAIN))
        strip = RunStrip(texts, styles, max(used, width))
        return strip if used <= width else strip.crop(0, width)

    def _filtered(self, text: str) -> str:
        """Return a text as the application's filters let it reach the terminal: Textual has no part in these rows."""
        if text.isascii() and text.isprintable():
            return text
        segments, background = [Segment(text, PLAIN)], self.background_colors[1]
        for line_filter in self.get_line_filters():
            segments = line_filter.apply(segments, background)
        return "".join(segment.text for segment in segments)

    def _style_of(self, style: Style) -> Style:
        if style not in self._styles:
            self._styles[style] = shown_style(self, self.rich_style + style)
        return self._styles[style]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
