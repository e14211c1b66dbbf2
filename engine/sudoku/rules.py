"""The rules of a 9x9 Sudoku as arrays, and puzzles as text.

Grids are arrays [..., 81] of the digits 1 to 9, row by row; 0 is an empty cell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.records import GridLayout

SIDE, BOX = 9, 3
CELLS = SIDE * SIDE
EMPTY = 0
LAYOUT = GridLayout(SIDE, SIDE, BOX, BOX, distinct=True)
"""What a model declares whose positions are the cells of a Sudoku."""
BLANKS = ".0_*?"
"""What stands for an empty cell in a puzzle's text."""
FRAME = "|+-"
"""What may be drawn between the cells of a puzzle's text."""

Cells = NDArray[np.uint8]


def _units() -> NDArray[np.int64]:
    cells = np.arange(CELLS).reshape(SIDE, SIDE)
    boxes = cells.reshape(BOX, BOX, BOX, BOX).swapaxes(1, 2).reshape(SIDE, SIDE)
    return np.concatenate((cells, cells.T, boxes))


UNITS = _units()
"""The cells of each row, column and box, [27, 9]."""


def conflicts(grids: Cells) -> NDArray[np.bool_]:
    """Return which filled cells of grids [..., 81] repeat a digit of their row, column or box, [..., 81]."""
    inside = grids[..., UNITS]
    same = (inside[..., :, None] == inside[..., None, :]) & (inside[..., :, None] != EMPTY)
    repeated = same.sum(-1) > 1
    found = np.zeros(grids.shape, bool)
    for cells, wrong in zip(UNITS, np.moveaxis(repeated, -2, 0), strict=True):
        found[..., cells] |= wrong
    return found


def is_solved(grids: Cells) -> NDArray[np.bool_]:
    """Return whether each grid [..., 81] is full and without conflict, [...]."""
    return (grids != EMPTY).all(-1) & ~conflicts(grids).any(-1)


def no_sudoku(model: str) -> str:
    """Return why a model of another layout can do nothing here."""
    return f"{model} fills no 9x9 grids with boxes, so it cannot solve a Sudoku: choose a model that does"


def parse(text: str) -> Cells:
    """Return the puzzle [81] of a text: digits and one of BLANKS for each cell; white space and FRAME are skipped.

    Raises ValueError for another character or number of cells, and for clues that conflict.
    """
    kept = [c for c in text if not (c.isspace() or c in FRAME)]
    strange = next((c for c in kept if c not in BLANKS and c not in "123456789"), None)
    if strange is not None:
        raise ValueError(f"a puzzle is written with 1 to 9 and {BLANKS[0]!r} for an empty cell, not with {strange!r}")
    if len(kept) != CELLS:
        raise ValueError(f"a puzzle has {CELLS} cells, not {len(kept)}")
    cells = np.array([EMPTY if c in BLANKS else int(c) for c in kept], np.uint8)
    if (wrong := conflicts(cells)).any():
        first = int(wrong.argmax())
        raise ValueError(
            f"the puzzle's clues conflict: {cells[first]} at row {first // SIDE + 1}, column {first % SIDE + 1} stands "
            "twice in its row, column or box"
        )
    return cells


def text_of(cells: Cells) -> str:
    """Return a grid [81] as one line of 81 characters, as `parse` reads it."""
    return "".join(BLANKS[0] if digit == EMPTY else str(digit) for digit in cells.tolist())
