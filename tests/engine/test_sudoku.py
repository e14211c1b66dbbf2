"""Sudoku: rules, addressed grids and their copies; with the solver, puzzles that have one solution."""

from __future__ import annotations

import numpy as np
import pytest

from engine.sampling.rng import Purpose, keys_of
from engine.sudoku import grids, puzzles, rules, solver

GRID = rules.parse("534678912672195348198342567859761423426853791713924856961537284287419635345286179")
PUZZLE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


def test_conflicts_are_the_cells_that_repeat_a_digit() -> None:
    assert not rules.conflicts(GRID).any()
    assert rules.is_solved(GRID)
    wrong = GRID.copy()
    wrong[0] = 3
    # row 1 has another 3 in column 2, column 1 in row 9, the box of row 1 the same one
    assert np.flatnonzero(rules.conflicts(wrong)).tolist() == [0, 1, 72]
    both = np.stack((GRID, wrong, np.zeros(81, np.uint8)))
    assert rules.is_solved(both).tolist() == [True, False, False]


def test_a_puzzle_is_read_as_it_is_drawn() -> None:
    drawn = "\n".join(" ".join(row) for row in (PUZZLE[i : i + 9].replace(".", "_") for i in range(0, 81, 9)))
    assert rules.text_of(rules.parse(drawn.replace("\n", "\n------+---\n", 1))) == PUZZLE


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (PUZZLE[:-1], "81 cells, not 80"),
        (PUZZLE.replace("7", "x"), "not with 'x'"),
        ("55" + PUZZLE[2:], "5 at row 1, column 1 stands twice"),
    ],
)
def test_a_text_that_is_no_puzzle_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        rules.parse(text)


def test_copies_are_grids_that_their_keys_decide() -> None:
    at = keys_of(1, range(500), [0] * 500, Purpose.COPY)
    many = grids.copies(np.tile(GRID, (500, 1)), at)
    assert rules.is_solved(many).all()
    assert len(np.unique(many, axis=0)) == 500
    assert np.array_equal(grids.copies(GRID[None], at[7:8])[0], many[7])
    # every cell comes to every place, and takes every digit there
    assert all(len(np.unique(many[:, cell])) == 9 for cell in range(81))


def test_copies_keep_empty_cells_and_the_relations_of_the_others() -> None:
    at = keys_of(1, range(3), [0] * 3, Purpose.COPY)
    clues = rules.parse(PUZZLE)
    both = np.stack([grids.copies(np.tile(cells, (3, 1)), at) for cells in (clues, GRID)])
    shown = both[0] != rules.EMPTY
    assert (shown.sum(-1) == (clues != rules.EMPTY).sum()).all()
    assert np.array_equal(both[0][shown], both[1][shown])


class TestSolved:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("pycryptosat")

    def test_the_only_solution_is_found(self) -> None:
        assert np.array_equal(solver.unique_solution(rules.parse(PUZZLE)), GRID)

    def test_a_puzzle_of_several_solutions_names_a_cell_that_shows_it(self) -> None:
        with pytest.raises(ValueError, match=r"several solutions: row \d, column \d can be \d or \d"):
            solver.unique_solution(rules.parse("." * 81))
        with pytest.raises(ValueError, match="no solution"):
            solver.unique_solution(rules.parse("12345678." + "........9" + "." * 63))

    def test_grids_depend_on_their_address_alone(self) -> None:
        together = list(grids.make_grids(puzzles.TEST, range(4)))
        assert rules.is_solved(np.stack(together)).all()
        assert np.array_equal(next(grids.make_grids(puzzles.TEST, range(3, 4))), together[3])
        other = next(grids.make_grids(puzzles.TRAINING, range(3, 4)))
        assert not np.array_equal(other, together[3])

    @pytest.mark.parametrize("clues", [30, 40])
    def test_a_puzzle_has_its_clues_and_one_solution(self, clues: int) -> None:
        for puzzle in puzzles.make_puzzles(puzzles.TEST, range(2), clues):
            assert puzzle.count == clues
            assert np.array_equal(solver.unique_solution(puzzle.clues), puzzle.solution)

    def test_no_clue_of_a_hard_puzzle_is_redundant(self) -> None:
        puzzle = next(puzzles.hard_puzzles(puzzles.TEST, range(1)))
        assert puzzles.FEWEST <= puzzle.count <= puzzles.MOST
        assert np.array_equal(solver.unique_solution(puzzle.clues), puzzle.solution)
        for cell in np.flatnonzero(puzzle.clues):
            fewer = puzzle.clues.copy()
            fewer[cell] = rules.EMPTY
            with pytest.raises(ValueError, match="several"):
                solver.unique_solution(fewer)


def test_without_the_solver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycryptosat", None)
    with pytest.raises(ValueError, match=r"remdm-tui\[tasks\]"):
        solver.Solver()
