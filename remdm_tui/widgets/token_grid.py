"""The token grid under hand: the cursor, pages, clicks and drags."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from textual import events
from textual.message import Message

from remdm_tui.widgets.token_view import TokenView

RIGHT = 3
"""Number of the right button of a mouse."""


class TokenGrid(TokenView, can_focus=True, inherit_bindings=False):
    """Finds the token under the pointer, and marks what is selected."""

    DEFAULT_CSS = """
    TokenGrid { height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable; overflow-x: hidden; }
    """

    class TokenPointed(Message):
        """A position was clicked; with the right button, `menu` is true."""

        def __init__(self, grid: TokenGrid, position: int, menu: bool = False) -> None:
            super().__init__()
            self.grid, self.position, self.menu = grid, position, menu

    class Dragged(Message):
        """Neighbouring positions were marked by dragging."""

        def __init__(self, grid: TokenGrid) -> None:
            super().__init__()
            self.grid = grid

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(ascii_only=ascii_only, id=id)
        self._from: int | None = None
        """the position at which a drag began"""

    def use_cursor(self, position: int | None) -> None:
        """Mark a position and scroll to it; None removes the mark."""
        self._cursor = position
        self.marked = range(0)
        if self._canvas is not None:
            self.show(self._canvas)
            if position is not None and self.size.height:
                y = self._lines.place(self._line_of(position))[1]
                if not 0 <= y - self.scroll_offset.y < self.size.height:
                    self._show_row(y)

    def _show_row(self, y: int) -> None:
        """Scroll to a row; columns are turned by the page."""
        lines = self._lines
        top = y - self.size.height // 2 if lines.across == 1 else y - y % lines.down
        self.scroll_to(y=max(0, top), animate=False)

    def turn_page(self, by: int) -> None:
        """Scroll by pages."""
        lines, y = self._lines, self.scroll_offset.y
        page = max(1, self.size.height - 1) if lines.across == 1 else lines.down
        self.scroll_to(y=y + by * page if lines.across == 1 else (y // page + by) * page, animate=False)

    @property
    def first_shown(self) -> int:
        """The first visible position."""
        top = self.scroll_offset.y
        first = next(lines[0] for y in range(top, top + 2) if (lines := self._lines.lines_of(y)))
        rows = self._page.rows
        # the last line of a grid has no token
        return min(rows[min(first, max(0, len(rows) - 2))], max(0, rows[-1] - 1))

    def holds(self, position: int) -> bool:
        """Return whether a position is on the page: that of a pane which was just opened is still empty."""
        return position < len(self._page.ends) - 1

    def across(self, position: int, by: int) -> int:
        """Return the position `by` lines below another; the same one where the page does not hold it."""
        if not self.holds(position):
            return position
        page, line = self._page, self._line_of(position)
        x = page.ends[position] - page.ends[page.rows[line]]
        # between the lines of a grid are some without tokens
        lines = [number for number, (first, following) in enumerate(pairwise(page.rows)) if first < following]
        return self._at(lines[max(0, min(lines.index(line) + by, len(lines) - 1))], x)

    def cell_of(self, position: int) -> tuple[int, int]:
        """Return the cell at which a token begins: columns and rows from the start of the text."""
        return self._lines.cell_of(position, self._page.ends, self._page.rows)

    def row_on_screen(self, position: int) -> int:
        """Return the row of the screen on which a token stands."""
        return self.content_region.y + self.cell_of(position)[1] - self.scroll_offset.y

    def _line_of(self, position: int) -> int:
        return bisect_right(self._page.rows, position) - 1

    def _at(self, line: int, x: int) -> int:
        """Return the position at a cell of a line."""
        page = self._page
        first, following = page.rows[line : line + 2]
        return max(first, min(bisect_right(page.ends, page.ends[first] + x) - 1, following - 1))

    def _under(self, event: events.MouseEvent) -> int | None:
        """Return the position under the pointer; None beside the text, and on a line between the rows of a grid."""
        line, x = self._lines.under(event.x, event.y + self.scroll_offset.y)
        if self._canvas is None or not 0 <= line < len(self._page.keys):
            return None
        first, following = self._page.rows[line : line + 2]
        return self._at(line, x) if first < following else None

    def on_click(self, event: events.Click) -> None:
        position = self._under(event)
        # the end of a drag is no click
        if position is not None and not self.marked:
            self.post_message(self.TokenPointed(self, position, menu=event.button == RIGHT))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._mark(range(0))
        self._from = None if event.button == RIGHT else self._under(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._from is None:
            return
        if not event.button:
            # it was let go elsewhere
            self._from = None
        elif (position := self._under(event)) is not None and (position != self._from or self.marked):
            self._mark(range(min(position, self._from), max(position, self._from) + 1))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self._from = None
        if self.marked:
            self.post_message(self.Dragged(self))

    def _mark(self, positions: range) -> None:
        if positions != self.marked:
            self.marked = positions
            if self._canvas is not None:
                self.show(self._canvas)
