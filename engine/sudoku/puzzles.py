"""Puzzles with one solution, graded by their clues."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.sampling.rng import Purpose, keys_of, uniform_array
from engine.sudoku.grids import make_grids
from engine.sudoku.rules import CELLS, EMPTY, Cells
from engine.sudoku.solver import Solver, clues_of

TRAINING, VALIDATION, TEST = 1, 2, 3
"""Seeds of the grids that a network is trained on, chosen by, and judged by."""
FEWEST, MOST = 22, 26
"""Clues of a hard puzzle, none of them redundant."""
ATTEMPTS = 1000
"""Orders in which the cells of a grid are emptied at most, in search of a puzzle."""


@dataclass(frozen=True)
class Puzzle:
    """clues and solution, [81] each; the clues have no other solution."""

    clues: Cells
    solution: Cells

    @property
    def count(self) -> int:
        return int((self.clues != EMPTY).sum())


def make_puzzles(seed: int, numbers: range, clues: int) -> Iterator[Puzzle]:
    """Yield a puzzle with `clues` clues of the grid of each number, which (seed, number, clues) alone decide.

    Cells are emptied in random order as long as the solution stays the only one.  Raises ValueError if ATTEMPTS such
    orders keep more clues.
    """
    for number, grid in zip(numbers, make_grids(seed, numbers), strict=True):
        yield _emptied(seed, number, grid, clues, clues)


def hard_puzzles(seed: int, numbers: range) -> Iterator[Puzzle]:
    """Yield a puzzle of FEWEST to MOST clues, none of them redundant, of the grid of each number."""
    for number, grid in zip(numbers, make_grids(seed, numbers), strict=True):
        yield _emptied(seed, number, grid, 0, MOST)


def _emptied(seed: int, number: int, grid: Cells, fewest: int, most: int) -> Puzzle:
    """Empty cells until `fewest` are left or every one is needed, in the first order that leaves at most `most`."""
    solver = Solver()
    solver.forbid(grid)
    for attempt in range(ATTEMPTS):
        order = uniform_array(keys_of(seed, [number], [attempt], Purpose.CLUES), CELLS)[0].argsort()
        clues = grid.copy()
        left = CELLS
        for cell in order.tolist():
            if left == fewest:
                break
            clues[cell] = EMPTY
            if solver.solve(clues_of(clues)) is None:
                left -= 1
            else:
                clues[cell] = grid[cell]
        if max(fewest, FEWEST) <= left <= most:
            return Puzzle(clues, grid)
    raise ValueError(f"no puzzle of {most} clues was found for grid {number}: ask for more clues")
