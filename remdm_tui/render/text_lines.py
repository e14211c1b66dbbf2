"""Where the lines of a text stand on the screen: fixed by the size and the number of tokens.  Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from remdm_tui.render.grid_face import GridFace

ROOMY = 6
"""Cells that a token takes on average, generously: what decides how many lines a text needs."""
USUAL, PARAGRAPH = 4.5, 40
"""Cells of a token and tokens of a paragraph as they usually are: on wide screens most lines end early."""
READABLE = 60
"""Cells of a line at least, where a long text stands in two columns."""
GAP = 4
"""Blank cells between two columns."""
LEAST = (40, 6)
"""Columns and rows of a map at least."""
MOST = 0.6
"""Part of the height that a text has at most where it needs more than there is."""
SLACK = 2
"""Rows that a text has besides those that it needs."""


@dataclass(frozen=True)
class Lines:
    """Lines of `width` cells, every `spacing` rows; in several columns they fill one column after the other.

    `down` lines of each column make a page; the next page is below it.  A line is counted in the order of reading, a
    row from the top of the text on, whether it is on the screen or not.
    """

    width: int
    spacing: int = 1
    across: int = 1
    down: int = 1

    @classmethod
    def of(cls, tokens: int, width: int, height: int) -> Lines:
        """Return the lines for a number of tokens on the columns and rows of the screen.

        Nothing else counts, so that no step and no panel moves the text: short texts are set apart, long ones stand in
        two columns if the screen is wide enough for both.
        """
        width, height = max(1, width), max(1, height)
        if 2 * lines_needed(tokens, width) <= height:
            return cls(width, 2)
        column = (width - GAP) // 2
        if column >= READABLE:
            return cls(column, 1, 2, height)
        return cls(width)

    def place(self, line: int) -> tuple[int, int]:
        """Return the column of cells and the row at which a line begins."""
        if self.across == 1:
            return 0, line * self.spacing
        page, rest = divmod(line, self.across * self.down)
        column, row = divmod(rest, self.down)
        return column * (self.width + GAP), page * self.down + row

    def cell_of(self, position: int, ends: Sequence[int], rows: Sequence[int]) -> tuple[int, int]:
        """Return the column and the row at which a token begins, in a text that `flow` has wrapped into `rows`."""
        line = bisect_right(rows, position) - 1
        x, y = self.place(line)
        return x + ends[position] - ends[rows[line]], y

    def lines_of(self, row: int) -> tuple[int, ...]:
        """Return the lines of a row, from left to right; the text may end before them."""
        if self.across == 1:
            line, between = divmod(row, self.spacing)
            return () if between else (line,)
        page, row = divmod(row, self.down)
        first = page * self.across * self.down + row
        return tuple(range(first, first + self.across * self.down, self.down))

    def under(self, x: int, row: int) -> tuple[int, int]:
        """Return the line at a cell, and the cell within that line; below a line counts as the line."""
        if self.across == 1:
            return row // self.spacing, x
        column = min(x // (self.width + GAP), self.across - 1)
        return self.lines_of(row)[column], min(x - column * (self.width + GAP), self.width - 1)

    def height(self, lines: int) -> int:
        """Return the rows that a number of lines take."""
        if self.across == 1:
            return lines * self.spacing
        pages, rest = divmod(lines, self.across * self.down)
        return pages * self.down + min(rest, self.down)


@dataclass(frozen=True)
class Split:
    """The columns and rows that a text has; its map has the rest: below it, or beside it behind a blank column."""

    width: int
    height: int
    beside: bool = False

    @classmethod
    def around(cls, grid: GridFace, width: int, height: int) -> Split:
        """Share columns and rows of the screen between a grid and its map: beside it, else below it, if it has room.

        The grid is as large as leaves the map its least.
        """
        large, small = grid.sizes
        for face in (large, small):
            # a column for the scrollbar, and one between the two
            if width - face.width - 2 >= LEAST[0] and (face.height <= height or face == small):
                return cls(face.width + 1, height, True)
        below = (face for face in (large, small) if face.width < width and height - face.height >= LEAST[1])
        return cls(width, next((face.height for face in below), height))

    @classmethod
    def of(cls, tokens: int, width: int, height: int) -> Split:
        """Share columns and rows of the screen between a text of this length in tokens and its map.

        Nothing else counts, so that no step moves the text.  The text has what it needs; of below and beside the map is
        where it is larger.
        """
        rows = _rows(tokens, width, height)
        below = width * (height - rows)
        column = max(READABLE, -(-lines_needed(tokens, READABLE) * READABLE // max(1, height)))
        rest = width - column - 1
        if rest >= LEAST[0] and rest * height > below:
            return cls(column, height, True)
        return cls(width, min(rows, int(height * MOST)))


def lines_needed(tokens: int, width: int) -> int:
    """Return the lines of `width` cells that a number of tokens needs, rather too many than too few."""
    return max(ceil(tokens * ROOMY / width), ceil(tokens * USUAL / width) + tokens // PARAGRAPH)


def _rows(tokens: int, width: int, height: int) -> int:
    """Return the rows that a text needs, and a few more."""
    needed = 2 * lines_needed(tokens, max(1, width))
    if needed + SLACK <= height // 3:
        # short enough to set its lines apart
        return needed + SLACK
    column = (width - GAP) // 2
    if column >= READABLE:
        needed = lines_needed(tokens, column)
    return -(-needed // 2) + SLACK
