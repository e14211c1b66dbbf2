"""What the training loop asks of its data."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from tokenizers import Tokenizer


class TrainingData(Protocol):
    """Rows of tokens in a `train` and a `validation` split, by where they start or by number."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def splits(self) -> dict[str, np.ndarray]:
        """Return all tokens of each split, which identify the data."""
        ...

    @property
    def mask_id(self) -> int: ...

    @property
    def end_id(self) -> int | None:
        """Return the token that ends a text; None where none does."""
        ...

    def batch(self, length: int, count: int, seed: int, step: int, generator: np.random.Generator) -> np.ndarray:
        """Return the starts of the rows of one training step, int64 [count]."""
        ...

    def at(self, split: str, starts: np.ndarray, length: int) -> np.ndarray:
        """Return the rows at these starts, int64 [count, length]."""
        ...

    def spread(self, split: str, length: int, count: int) -> np.ndarray:
        """Return count rows of the split, the same ones every time, int64 [count, length]."""
        ...
