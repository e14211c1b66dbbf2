"""A link whose model fills Sudokus at random, and a puzzle with its solution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.sudoku.rules import LAYOUT
from tests.tui.scripted import ScriptedLink

PUZZLE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
SOLUTION = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


class GridLink(ScriptedLink):
    """Its prompt is a puzzle as text, with dots for empty cells."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.mask, self.layout = [*"123456789", "[MASK]"], 9, LAYOUT

    def lock_prompt(self, prompt: str, tokens: NDArray[np.int32], locked: NDArray[np.bool_]) -> None:
        for cell, digit in enumerate(prompt):
            if digit != ".":
                tokens[:, cell], locked[:, cell] = int(digit) - 1, True
