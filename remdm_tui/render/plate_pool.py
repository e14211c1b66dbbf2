"""A plate pooled to the cells of a viewport: the worst state of each cell, and the share that holds a token.

Columns are added one by one as the run goes on, and only their cells are computed again.  Pure numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from remdm_tui.render.plate import Bytes, Columns, Plate, State
from remdm_tui.render.plate_modes import Mode, Scan
from remdm_tui.render.viewport import Viewport, cells_of, edges


class Pool:
    """Cells [rows, columns] of a viewport.

    `worst` is the greatest code of a cell in the mode, `share` the part of its positions and steps, so far as they
    are recorded, that hold a token after the step; nan where none is recorded.
    """

    def __init__(self, plate: Plate, view: Viewport, grid: tuple[int, int], mode: Mode) -> None:
        """Pool what the plate has read.  grid: numbers of rows and columns, at least 1 each."""
        self.plate, self.view, self.grid, self.mode = plate, view, grid, mode
        self._rows = edges(view.top, view.rows, grid[0])
        self._heights = np.maximum(np.diff(self._rows, append=view.top + view.rows), 1)
        # where steps are fewer than columns, several columns show the same
        columns = edges(view.left, view.columns, grid[1])
        self._starts, self._of_column = np.unique(columns, return_inverse=True)
        parts, positions = len(self._starts), plate.positions
        self._codes = np.zeros((parts, positions), np.uint8)
        self._holding = np.zeros((parts, positions), np.uint32)
        self._counts = np.zeros(parts, np.int64)
        self._scan = Scan(positions)
        self.length = 0 if mode.scans else view.left
        """the next column to pool"""
        self.worst: Bytes = np.zeros(grid, np.uint8)
        self.share: NDArray[np.float32] = np.full(grid, np.nan, np.float32)
        self.update()

    def update(self) -> range:
        """Pool the columns that were read since the last time; return the columns of cells that may have changed."""
        begin, end = self.length, max(self.length, min(self.plate.length, self.view.left + self.view.columns))
        for columns in self.plate.columns(begin, end):
            self._take(columns)
        self.length = end
        first = max(begin, self.view.left)
        if end <= first:
            return range(0)
        cells = range(self._cells(first).start, self._cells(end - 1).stop)
        self._pool(cells)
        return cells

    def find(self, rows: range, columns: range) -> tuple[int, int] | None:
        """Return the first position and step with the worst code in some cells; None where nothing is recorded."""
        tops, bottoms = self._rows, self._rows + self._heights
        top, bottom = int(tops[rows.start]), int(bottoms[rows.stop - 1])
        starts = edges(self.view.left, self.view.columns, self.grid[1])
        left, right = int(starts[columns.start]), self.view.left + self.view.columns
        if columns.stop < self.grid[1]:
            right = max(left + 1, int(starts[columns.stop]))
        best: tuple[int, int, int] | None = None
        for part in self.plate.columns(left, right):
            states = part.states[:, top:bottom]
            worst = int(states.max())
            if best is None or worst > best[0]:
                step, position = divmod(int(states.argmax()), bottom - top)
                best = worst, top + position, part.first + step
        return None if best is None else best[1:]

    def _cells(self, step: int) -> range:
        return cells_of(self.view.left, self.view.columns, self.grid[1], step)

    def _take(self, columns: Columns) -> None:
        """Add columns to the parts that they belong to."""
        codes = self.mode.encode(columns, self._scan)
        first, last = columns.first, columns.first + len(codes)
        begin = max(first, self.view.left)
        if begin >= last:
            return
        part = int(np.searchsorted(self._starts, begin, "right")) - 1
        while begin < last:
            end = int(self._starts[part + 1]) if part + 1 < len(self._starts) else last
            end = min(end, last)
            rows = slice(begin - first, end - first)
            states = columns.states[rows]
            np.maximum(self._codes[part], codes[rows].max(axis=0), out=self._codes[part])
            # a masked position is MASKED or REMASKED
            holds = (states != State.MASKED) & (states != State.REMASKED)
            self._holding[part] += holds.sum(axis=0, dtype=np.uint16)
            self._counts[part] += end - begin
            begin, part = end, part + 1

    def _pool(self, cells: range) -> None:
        """Compute columns of cells from their parts."""
        wanted = self._of_column[cells.start : cells.stop]
        parts = slice(int(wanted[0]), int(wanted[-1]) + 1)
        top, bottom = self.view.top, self.view.top + self.view.rows
        rows = self._rows - top
        codes = np.maximum.reduceat(self._codes[parts, top:bottom], rows, axis=1)
        holding = np.add.reduceat(self._holding[parts, top:bottom], rows, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = holding / (self._counts[parts, None] * self._heights)
        of = wanted - parts.start
        self.worst[:, cells.start : cells.stop] = codes[of].T
        self.share[:, cells.start : cells.stop] = share[of].T
