"""Training data that a generator makes: full grids by number, each in a symmetric copy of its own."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from engine.data.shards import OnPrepared, Prepared
from engine.data.special_tokens import MASK
from engine.files.atomic import tidy
from engine.files.checksums import CHECKSUM, is_whole, replace_checked
from engine.sampling.rng import Purpose, keys_of
from engine.sudoku.grids import copies, make_grids
from engine.sudoku.puzzles import TRAINING, VALIDATION
from engine.sudoku.rules import CELLS
from engine.system.callbacks import ignore
from engine.training.tokenizers import alphabet_tokenizer

DIGITS = "123456789"
HELD_OUT = 256
"""Grids for validation."""
TOGETHER = 64
"""Grids between two calls of the callback with the progress."""


@dataclass(frozen=True)
class GridCorpus:
    """Grids as rows of tokens (`engine.training.rows.TrainingData`).

    A row's start is its number: it decides the grid, modulo the grids there are, and its copy.
    """

    tokenizer: Tokenizer
    splits: dict[str, np.ndarray]
    """grids one after the other as tokens, uint8"""

    @property
    def mask_id(self) -> int:
        return int(self.tokenizer.token_to_id(MASK) or 0)

    @property
    def end_id(self) -> None:
        """Return None: no token ends a grid."""

    def batch(self, length: int, count: int, seed: int, step: int, generator: np.random.Generator) -> np.ndarray:
        """Return the numbers of the rows of one training step, int64 [count]: no copy is shown twice."""
        return np.arange(step * count, (step + 1) * count, dtype=np.int64)

    def at(self, split: str, starts: np.ndarray, length: int) -> np.ndarray:
        """Return the rows of these numbers, int64 [count, length]."""
        grids = self.splits[split].reshape(-1, CELLS)
        seed = TRAINING if split == "train" else VALIDATION
        numbers = starts.tolist()
        rows = copies(
            grids[starts % len(grids)] + np.uint8(1), keys_of(seed, numbers, [0] * len(numbers), Purpose.COPY)
        )
        return rows.astype(np.int64)[:, :length] - 1

    def spread(self, split: str, length: int, count: int) -> np.ndarray:
        """Return the rows of the first numbers, int64 [count, length]."""
        return self.at(split, np.arange(count, dtype=np.int64), length)


def generate_sudoku(count: int, cache: Path, progress: OnPrepared = ignore) -> GridCorpus:
    """Make `count` grids to train on and HELD_OUT to validate with once into `cache`; then read them.

    Raises ValueError where the solver is not installed.
    """
    made = {
        name: _kept(cache / f"sudoku-{name}-{many}.npy", seed, many, progress)
        for name, seed, many in (("train", TRAINING, count), ("validation", VALIDATION, HELD_OUT))
    }
    return GridCorpus(alphabet_tokenizer(DIGITS), {name: (grids - np.uint8(1)).ravel() for name, grids in made.items()})


GENERATORS: dict[str, Callable[[int, Path, OnPrepared], GridCorpus]] = {"sudoku": generate_sudoku}
"""By the `generated` of a configuration's data."""


def _kept(path: Path, seed: int, count: int, progress: OnPrepared) -> np.ndarray:
    """Return the seed's first `count` grids, uint8 [count, 81]; their file is made where it is missing or damaged."""
    if path.is_file() and is_whole(path):
        return np.load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent, (path.name, path.name + CHECKSUM))
    grids = np.empty((count, CELLS), np.uint8)
    for number, grid in enumerate(make_grids(seed, range(count))):
        grids[number] = grid
        if number % TOGETHER == 0:
            progress(Prepared("making", number, number * CELLS))
    data = io.BytesIO()
    np.save(data, grids)
    replace_checked(path, data.getvalue())
    return grids
