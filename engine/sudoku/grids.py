"""Full grids by number, and their symmetric copies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.sampling.rng import Purpose, keys_of, uniform_array
from engine.sudoku.rules import BOX, CELLS, SIDE, UNITS, Cells
from engine.sudoku.solver import Solver

PEERS = np.array([sorted({*UNITS[np.isin(UNITS, cell).any(-1)].flat} - {cell}) for cell in range(CELLS)])
"""The 20 cells that share a row, column or box with each, [81, 20]."""
DRAWN = SIDE + 2 * (BOX + SIDE) + 1
"""Uniforms that decide a copy: digits, rows and columns by band and inside each, and whether it is transposed."""


def make_grids(seed: int, numbers: range) -> Iterator[Cells]:
    """Yield the full grid [81] of each number, which (seed, number) alone decide, not the solver.

    Cells are filled in random order, each with the first digit of a random order that leaves a solution.
    """
    solver = Solver()
    order = uniform_array(keys_of(seed, numbers, [0] * len(numbers), Purpose.GRID), CELLS).argsort(-1)
    for number, cells in zip(numbers, order.tolist(), strict=True):
        ranks = uniform_array(keys_of(seed, [number] * CELLS, range(1, CELLS + 1), Purpose.GRID), SIDE).argsort(-1) + 1
        yield _fill(solver, cells, ranks.tolist())


def _fill(solver: Solver, cells: list[int], ranks: list[list[int]]) -> Cells:
    """Fill cells in this order, each with the first of its ranked digits that leaves a solution."""
    found = solver.solve(())
    assert found is not None
    filled = np.zeros(CELLS, np.uint8)
    for cell in cells:
        taken = {*filled[PEERS[cell]].tolist()}
        for digit in ranks[cell]:
            # a solution that was found before shows that this digit leaves one
            if digit == found[cell]:
                break
            if digit in taken:
                continue
            clues = [(other, int(filled[other])) for other in np.flatnonzero(filled).tolist()]
            if (other_way := solver.solve([*clues, (cell, digit)])) is not None:
                found = other_way
                break
        filled[cell] = found[cell]
    return filled


def copies(grids: Cells, at: NDArray[np.int64]) -> Cells:
    """Return a symmetric copy of each grid [B, 81], empty cells included, as uniforms of the keys [B] decide.

    Digits are renamed; bands, rows inside a band, stacks and columns inside a stack change places; half are transposed.
    """
    u = uniform_array(at, DRAWN)
    names, rows, columns, turned = np.split(u, np.cumsum([SIDE, BOX + SIDE, BOX + SIDE]), axis=-1)
    digits = np.zeros((len(grids), SIDE + 1), np.uint8)
    digits[:, 1:] = names.argsort(-1) + 1
    places = _lines(rows)[:, :, None] * SIDE + _lines(columns)[:, None, :]
    places = np.where(turned[:, :, None] < 0.5, places.swapaxes(1, 2), places).reshape(-1, CELLS)
    return np.take_along_axis(digits, np.take_along_axis(grids, places, -1), -1)


def _lines(u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order of nine lines that keeps bands of three together, [B, 9], by uniforms [B, 12]."""
    bands = u[:, :BOX].argsort(-1)
    inside = u[:, BOX:].reshape(-1, BOX, BOX).argsort(-1)
    return (bands[:, :, None] * BOX + np.take_along_axis(inside, bands[:, :, None], 1)).reshape(-1, SIDE)
