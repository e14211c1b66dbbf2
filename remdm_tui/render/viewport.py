"""The part of the map that is on screen: zoom, pan, and which cell shows which position and step.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

CLOSEST = (4, 8)
"""Positions and steps that are shown at least."""


@dataclass(frozen=True)
class Viewport:
    """`rows` positions from `top` on and `columns` steps from `left` on, of `positions` and `steps` in all.

    Steps count from 0, the start of the run.
    """

    positions: int
    steps: int
    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def whole(cls, positions: int, steps: int) -> Viewport:
        """Return a viewport of everything."""
        return cls(positions, steps, 0, 0, positions, steps)

    @property
    def is_whole(self) -> bool:
        return (self.rows, self.columns) == (self.positions, self.steps)

    @property
    def factor(self) -> float:
        """How many times larger than the whole it is shown."""
        return max(self.positions / self.rows, self.steps / self.columns)

    def __contains__(self, place: tuple[int, int]) -> bool:
        """Return whether a (position, step) is shown."""
        position, step = place
        return 0 <= position - self.top < self.rows and 0 <= step - self.left < self.columns


def zoom(view: Viewport, by: float, position: int, step: int) -> Viewport:
    """Return a viewport `by` times as close (below 1: farther), in which (position, step) stays where it is."""
    top, rows = _zoomed(view.top, view.rows, view.positions, by, position, CLOSEST[0])
    left, columns = _zoomed(view.left, view.columns, view.steps, by, step, CLOSEST[1])
    return replace(view, top=top, left=left, rows=rows, columns=columns)


def pan(view: Viewport, rows: int, columns: int) -> Viewport:
    """Return a viewport moved by positions and steps, as far as there are any."""
    top, left = view.top + rows, view.left + columns
    return replace(
        view,
        top=max(0, min(top, view.positions - view.rows)),
        left=max(0, min(left, view.steps - view.columns)),
    )


def reveal(view: Viewport, position: int, step: int) -> Viewport:
    """Return a viewport that shows (position, step), moved no farther than it has to be."""
    rows = min(0, position - view.top) + max(0, position - view.top - view.rows + 1)
    columns = min(0, step - view.left) + max(0, step - view.left - view.columns + 1)
    return pan(view, rows, columns)


def resized(view: Viewport, positions: int, steps: int) -> Viewport:
    """Return a viewport of a run of another size; what showed everything still does."""
    if view.is_whole:
        return Viewport.whole(positions, steps)
    rows, columns = min(view.rows, positions), min(view.columns, steps)
    # along a side that was whole it stays whole
    rows = positions if view.rows == view.positions else rows
    columns = steps if view.columns == view.steps else columns
    return pan(Viewport(positions, steps, view.top, view.left, rows, columns), 0, 0)


def edges(first: int, count: int, cells: int) -> NDArray[np.int64]:
    """Return the first of `count` items that each of `cells` cells shows, ascending; `first` is that of cell 0.

    A cell shows the items up to those of the next cell that differs, at least one.
    """
    return first + np.arange(cells, dtype=np.int64) * count // cells


def item_at(first: int, count: int, cells: int, cell: int) -> int:
    """Return the first item that a cell shows; a cell outside counts as the nearest."""
    return first + max(0, min(cell, cells - 1)) * count // cells


def cells_of(first: int, count: int, cells: int, item: int) -> range:
    """Return the cells that show an item; empty if it is not shown."""
    if not 0 <= item - first < count:
        return range(0)
    if count >= cells:
        # the last cell that begins at or before it
        cell = ((item - first + 1) * cells - 1) // count
        return range(cell, cell + 1)
    return range(-(-(item - first) * cells // count), -(-(item - first + 1) * cells // count))


def place_at(view: Viewport, grid: tuple[int, int], y: int, x: int) -> tuple[int, int]:
    """Return the first position and step that cell (y, x) of a grid [rows, columns] shows."""
    return (
        item_at(view.top, view.rows, grid[0], y),
        item_at(view.left, view.columns, grid[1], x),
    )


def cells_at(view: Viewport, grid: tuple[int, int], position: int, step: int) -> tuple[range, range]:
    """Return the rows that show a position and the columns that show a step; empty if it is not shown."""
    return (
        cells_of(view.top, view.rows, grid[0], position),
        cells_of(view.left, view.columns, grid[1], step),
    )


def _zoomed(first: int, shown: int, total: int, by: float, anchor: int, least: int) -> tuple[int, int]:
    """Return first and number of the items on one axis after a zoom about an item."""
    anchor = max(first, min(anchor, first + shown - 1))
    count = max(min(least, total), min(total, round(shown / by)))
    begin = anchor - (anchor - first) * count // shown
    return max(0, min(begin, total - count)), count
