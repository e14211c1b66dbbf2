"""A Sudoku that a person gives to `watch`: its digits are the prompt, its empty cells the masks in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from engine.files.regular import regular_file
from engine.sudoku.rules import BLANKS, parse, text_of
from engine.sudoku.solver import NoSolverError, SeveralSolutionsError, unique_solution

LARGEST = 1 << 16
"""Bytes of a puzzle's file."""


class PuzzlePrompt(NamedTuple):
    """The prompt, and what a person should know of the puzzle; empty if it has one solution."""

    prompt: str
    note: str


def puzzle_prompt(given: str) -> PuzzlePrompt:
    """Return the prompt of a puzzle; given: its text, or the name of its file.

    One with several solutions can be watched: the model fills in one of them.  Raises ValueError for a text that is no
    puzzle, and for a puzzle without a solution.
    """
    try:
        cells = parse(_text(given))
        unique_solution(cells)
        note = ""
    except (SeveralSolutionsError, NoSolverError) as error:
        note = str(error)[:1].upper() + str(error)[1:]
    except ValueError as error:
        raise ValueError(f"--puzzle: {error}") from None
    empty = re.escape(BLANKS[0])
    return PuzzlePrompt(re.sub(f"{empty}+", lambda run: f"{{mask*{len(run[0])}}}", text_of(cells)), note)


def _text(given: str) -> str:
    """Return the text of a puzzle, or of the file with that name."""
    # no cell is a letter
    if not any(c.isalpha() for c in given) and not _is_file(given):
        return given
    path = regular_file(given)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{given[:80]}: {error.strerror}") from None
    if len(data) > LARGEST:
        raise ValueError(f"{path} is too large for a puzzle: at most {LARGEST} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a name, or with a null byte
        return False
