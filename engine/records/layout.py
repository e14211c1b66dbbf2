"""How the positions of a model lie on screen where they are no line of text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 64
"""Rows and columns at most: memory is taken for every pair of cells."""


@dataclass(frozen=True)
class GridLayout:
    """How a model's positions lie in a grid, row by row; a box has `box_rows` x `box_columns` cells."""

    rows: int
    columns: int
    box_rows: int
    box_columns: int
    distinct: bool = False
    """whether no token may stand twice in a row, a column or a box, as in a Sudoku"""

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "box_rows", "box_columns"):
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= MOST:
                raise ValueError(f"{name} must be a whole number in 1 to {MOST}, not {value!r}")

    @property
    def cells(self) -> int:
        return self.rows * self.columns

    @property
    def boxes(self) -> NDArray[np.int64]:
        """Return the number of each cell's box, [rows, columns]."""
        down, across = np.arange(self.rows) // self.box_rows, np.arange(self.columns) // self.box_columns
        return down[:, None] * -(-self.columns // self.box_columns) + across

    def repeats(self, tokens: NDArray[np.integer], shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of the tokens [L] that are `shown` stand twice in their row, column or box, [L].

        All False unless the layout is `distinct`.  L may be less than the cells of the grid.
        """
        found = np.zeros(len(tokens), bool)
        if self.distinct and shown.any():
            cells, size = np.arange(len(tokens)), int(tokens.max()) + 1
            for unit in (cells // self.columns, cells % self.columns, self.boxes.flatten()[: len(tokens)]):
                kinds = unit * size + tokens
                found |= shown & (np.bincount(kinds[shown], minlength=int(kinds.max()) + 1)[kinds] > 1)
        return found
