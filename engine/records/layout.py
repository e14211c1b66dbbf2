"""How the positions of a model lie on screen where they are no line of text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GridLayout:
    """How a model's positions lie in a grid, row by row; a box has `box_rows` x `box_columns` cells."""

    rows: int
    columns: int
    box_rows: int
    box_columns: int

    @property
    def cells(self) -> int:
        return self.rows * self.columns

    @property
    def boxes(self) -> NDArray[np.int64]:
        """Return the number of each cell's box, [rows, columns]."""
        down, across = np.arange(self.rows) // self.box_rows, np.arange(self.columns) // self.box_columns
        return down[:, None] * -(-self.columns // self.box_columns) + across
