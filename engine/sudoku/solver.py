"""Solutions of Sudokus by a SAT solver: whether there is one, and whether it is the only one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import combinations

import numpy as np

from engine.sudoku.rules import CELLS, EMPTY, SIDE, UNITS, Cells

MISSING = "solving a Sudoku needs pycryptosat: pip install 'remdm-tui[tasks]'"

Clause = list[int]


class NoSolverError(ValueError):
    """The solver is not installed."""


class SeveralSolutionsError(ValueError):
    """A puzzle has more than one solution."""


class Solver:
    """The rules as clauses, kept with what the solver has learned from them; `forbid` adds to them."""

    def __init__(self) -> None:
        """Raise NoSolverError where the solver is not installed."""
        try:
            import pycryptosat
        except ImportError as error:
            raise NoSolverError(MISSING) from error
        self._solver = pycryptosat.Solver(threads=1)
        self._solver.add_clauses(_rules())

    def solve(self, clues: Iterable[tuple[int, int]]) -> Cells | None:
        """Return a grid [81] with these (cell, digit); None if there is none."""
        found, values = self._solver.solve([_variable(cell, digit) for cell, digit in clues])
        if not found:
            return None
        return np.array(values[1 : 1 + CELLS * SIDE], bool).reshape(CELLS, SIDE).argmax(-1).astype(np.uint8) + np.uint8(
            1
        )

    def forbid(self, grid: Cells) -> None:
        """Accept this grid [81] as a solution no more."""
        self._solver.add_clause([-_variable(cell, digit) for cell, digit in enumerate(grid.tolist())])


def clues_of(cells: Cells) -> list[tuple[int, int]]:
    """Return the (cell, digit) of a grid's [81] filled cells."""
    return [(cell, digit) for cell, digit in enumerate(cells.tolist()) if digit != EMPTY]


def unique_solution(puzzle: Cells) -> Cells:
    """Return the only solution [81] of a puzzle [81].

    Raises ValueError if it has none, SeveralSolutionsError if it has several.
    """
    solver, clues = Solver(), clues_of(puzzle)
    found = solver.solve(clues)
    if found is None:
        raise ValueError("the puzzle has no solution")
    solver.forbid(found)
    if (other := solver.solve(clues)) is not None:
        cell = int((found != other).argmax())
        raise SeveralSolutionsError(
            f"the puzzle has several solutions: row {cell // SIDE + 1}, column {cell % SIDE + 1} can be "
            f"{found[cell]} or {other[cell]}"
        )
    return found


def _variable(cell: int, digit: int) -> int:
    """Return the number of the statement that a digit stands in a cell."""
    return SIDE * cell + digit


@cache
def _rules() -> list[Clause]:
    """Return the clauses: every cell has exactly one digit, every unit each digit exactly once."""
    digits = range(1, SIDE + 1)
    groups = [[_variable(cell, digit) for digit in digits] for cell in range(CELLS)]
    groups += [[_variable(cell, digit) for cell in unit] for unit in UNITS.tolist() for digit in digits]
    return [*groups, *([-a, -b] for group in groups for a, b in combinations(group, 2))]
