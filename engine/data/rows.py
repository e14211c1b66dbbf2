"""Cut texts into rows of tokens: wrapped as masked diffusion models were trained, or windows of one stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.data.documents import paragraphs

Encode = Callable[[str], Sequence[int]]
"""Token ids of a text, without special tokens"""


def wrap(
    texts: Sequence[str], encode: Encode, length: int, start: int, end: int, together: int | None = None
) -> NDArray[np.int64]:
    """Return rows of start, length - 2 tokens and end: documents, each followed by an end token, joined and cut.

    together: documents that are joined at a time, the rest dropped each time; None: all.  Returns int64 [N, length].
    Raises ValueError if there is too little text for one row.
    """
    inside = length - 2
    if inside < 1:
        raise ValueError(f"a row needs at least 3 tokens, start and end included, got a length of {length}")
    rows: list[NDArray[np.int64]] = []
    size = together or max(len(texts), 1)
    held = 0
    for first in range(0, len(texts), size):
        joined = np.concatenate([np.array([*encode(text), end], np.int64) for text in texts[first : first + size]])
        held += len(joined)
        whole = len(joined) // inside
        rows.append(joined[: whole * inside].reshape(whole, inside))
    found = np.concatenate(rows) if rows else np.zeros((0, inside), np.int64)
    if not len(found):
        raise ValueError(f"the text has {held} tokens: a row of {length} needs {inside}")
    return np.pad(found, ((0, 0), (1, 1)), constant_values=((0, 0), (start, end)))


def windows(texts: Sequence[str], encode: Encode, length: int, count: int, end: int) -> NDArray[np.int64]:
    """Return `even` windows of the `stream` of texts, int64 [count, length]."""
    return even(stream(texts, encode, end), length, count)


def stream(texts: Sequence[str], encode: Encode, end: int) -> NDArray[np.int64]:
    """Return all texts, tokenised by paragraph, each followed by an end token, as in training here, int64 [N]."""
    pieces = [np.array([*(i for p in paragraphs(text) for i in encode(p)), end], np.int64) for text in texts]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)


def even(tokens: NDArray[np.int64], length: int, count: int) -> NDArray[np.int64]:
    """Return count windows of a stream at even offsets, int64 [count, length].

    Raises ValueError if the stream is shorter than a window.
    """
    if length < 1 or count < 1:
        raise ValueError(f"windows take a length and a count of at least 1, got {length} and {count}")
    if len(tokens) < length:
        raise ValueError(f"the text has {len(tokens)} tokens: a window needs {length}")
    return spread(tokens, length, count)


def spread(stream: np.ndarray, length: int, count: int) -> np.ndarray:
    """Return count windows of the stream at even offsets, int64 [count, length], unchecked."""
    starts = np.linspace(0, len(stream) - length, count).astype(np.int64)
    return np.stack([stream[i : i + length] for i in starts]).astype(np.int64)
