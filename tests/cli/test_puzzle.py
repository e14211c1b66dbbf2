"""The puzzle that a person gives to `watch`: what it becomes, and what is said of one that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.sudoku.rules import parse, text_of
from engine.sudoku.solver import MISSING
from engine.text.infill import parts
from remdm_tui.settings.puzzle import LARGEST, puzzle_prompt
from tests.tui.grids import PUZZLE, SOLUTION

pytest.importorskip("pycryptosat")


def cells_of(prompt: str) -> str:
    """Return a prompt's digits, with a dot for each mask."""
    return "".join(part if isinstance(part, str) else "." * part for part in parts(prompt))


def test_digits_are_the_prompt_and_empty_cells_its_masks() -> None:
    found = puzzle_prompt(PUZZLE)
    assert found.prompt.startswith("53{mask*2}7{mask*4}6")
    assert cells_of(found.prompt) == PUZZLE
    assert not found.note


def test_a_file_is_read_however_it_is_drawn(tmp_path: Path) -> None:
    rows = [PUZZLE[at : at + 9].replace(".", "_") for at in range(0, 81, 9)]
    (tmp_path / "mine").write_text("\n".join(f"|{row[:3]}|{row[3:6]}|{row[6:]}|" for row in rows) + "\n+---+\n")
    assert puzzle_prompt(str(tmp_path / "mine")) == puzzle_prompt(PUZZLE)


def test_a_file_may_be_named_in_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("17").write_text(PUZZLE)
    assert cells_of(puzzle_prompt("17").prompt) == PUZZLE


def test_a_puzzle_with_several_solutions_is_told_and_watched() -> None:
    found = puzzle_prompt("." * 80 + "5")
    assert found.note.startswith("The puzzle has several solutions: row 1, column")
    assert cells_of(found.prompt) == "." * 80 + "5"


def test_without_the_solver_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycryptosat", None)
    assert puzzle_prompt(PUZZLE).note == f"S{MISSING[1:]}"


def test_a_solved_grid_is_a_puzzle() -> None:
    assert puzzle_prompt(SOLUTION) == (SOLUTION, "")
    assert text_of(parse(SOLUTION)) == SOLUTION


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (PUZZLE[1:], "a puzzle has 81 cells, not 80"),
        ("", "a puzzle has 81 cells, not 0"),
        (PUZZLE + PUZZLE, "a puzzle has 81 cells, not 162"),
        (f";{PUZZLE[1:]}", "a puzzle is written with 1 to 9 and '.' for an empty cell, not with ';'"),
        (f"55{PUZZLE[2:]}", "the puzzle's clues conflict: 5 at row 1, column 1 stands twice in its row, column or box"),
        ("12345678" + "." * 9 + "9" + "." * 63, "the puzzle has no solution"),
        ("no/such/file", "no/such/file: No such file or directory"),
        ("x" * 300, "xx: File name too long"),
        ("a\0b", "embedded null byte"),
        ("DIR", "is a directory, not a regular file"),
        ("BINARY", "is not UTF-8 text"),
        ("HUGE", f"is too large for a puzzle: at most {LARGEST} bytes"),
        ("FIFO", "is a named pipe, not a regular file"),
    ],
)
def test_what_is_no_puzzle_is_one_sentence(tmp_path: Path, given: str, sentence: str) -> None:
    (tmp_path / "DIR").mkdir()
    (tmp_path / "BINARY").write_bytes(b"\xff\xfe")
    (tmp_path / "HUGE").write_text("." * (LARGEST + 1))
    os.mkfifo(tmp_path / "FIFO")
    with pytest.raises(ValueError, match=r"^--puzzle: ") as refused:
        puzzle_prompt(str(tmp_path / given) if given.isupper() else given)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
