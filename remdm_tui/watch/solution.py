"""The only solution of a Sudoku on screen, with which its cells are compared while that is wanted."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.records import Change, ModelInfo
from engine.sampling.trace import Record
from engine.sudoku.rules import CELLS, EMPTY, LAYOUT, SIDE, conflicts
from engine.sudoku.solver import unique_solution

NO_SUDOKU = "Only a Sudoku has a solution to compare with"


class Solution(NamedTuple):
    """The tokens [81] of the only solution, or why there is none."""

    tokens: NDArray[np.int64] | None
    problem: str = ""


class SolutionMarks:
    """Whether cells that differ from the only solution are marked, and that solution."""

    def __init__(self) -> None:
        self.wanted = False

    def at(self, model: ModelInfo, record: Record, position: int, sample: int) -> Solution:
        """Return the solution of the tokens that are locked at a step."""
        digits = tuple(model.pieces.index(digit) for digit in "123456789" if digit in model.pieces)
        tokens, change = record.tokens(position, sample), record.change(position, sample)
        if model.layout != LAYOUT or len(digits) != SIDE or len(tokens) != CELLS:
            return Solution(None, NO_SUDOKU)
        cells = np.zeros(CELLS, np.uint8)
        for digit, token in enumerate(digits, 1):
            cells[(tokens == token) & (change == Change.LOCKED)] = digit
        solved, problem = _solved(cells.tobytes())
        return Solution(None, problem) if solved is None else Solution(np.array((0, *digits))[solved])


@lru_cache(64)
def _solved(clues: bytes) -> tuple[NDArray[np.uint8] | None, str]:
    """Return the only solution [81] of a puzzle's cells, or None and why."""
    cells = np.frombuffer(clues, np.uint8)
    if not (cells != EMPTY).any():
        return None, "No clue is locked, so the grid has many solutions"
    if conflicts(cells).any():
        return None, "The locked cells conflict, so the grid has no solution"
    try:
        return unique_solution(cells), ""
    except ValueError as error:
        return None, str(error)[:1].upper() + str(error)[1:]
