"""Characters whose bytes lie in several tokens: put together from the tokens that stand side by side.  numpy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

LOST = "\ufffd"
"""What stands for bytes that are no character yet."""
CONTINUES = range(0x80, 0xC0)
"""Bytes that go on with a character."""
KEPT = 1 << 16
"""Groups of tokens whose texts are remembered."""


class Characters:
    """A vocabulary in which some tokens hold a part of a character."""

    def __init__(self, fragments: Mapping[int, bytes], size: int) -> None:
        """fragments: the bytes of tokens that are no whole text, by number; size: of the vocabulary."""
        self._bytes = {token: data for token, data in fragments.items() if 0 <= token < size and data}
        self.partial, self._begins = np.zeros(size, bool), np.zeros(size, bool)
        self.partial[list(self._bytes)] = True
        self._begins[[token for token, data in self._bytes.items() if data[0] not in CONTINUES]] = True

    def groups(self, tokens: NDArray[np.integer]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Where tokens of parts stand together, and the text of each; empty where it goes on with a character.

        A whole character is the text of the first of its tokens.  tokens: [L].
        """
        at = np.flatnonzero(self.partial[tokens])
        if not len(at):
            return
        first = self._begins[tokens[at]] | (np.diff(at, prepend=-2) != 1)
        edges = [*np.flatnonzero(first).tolist(), len(at)]
        ids, places = tokens[at].tolist(), at.tolist()
        for begin, end in pairwise(edges):
            yield places[begin], joined(tuple(self._bytes[token] for token in ids[begin:end]))

    def texts(self, tokens: NDArray[np.integer], pieces: Sequence[str]) -> list[str]:
        """The text of each token, [L], whole characters at the first of theirs."""
        found = [pieces[token] for token in tokens.tolist()]
        for first, texts in self.groups(tokens):
            found[first : first + len(texts)] = texts
        return found


@lru_cache(maxsize=KEPT)
def joined(parts: tuple[bytes, ...]) -> tuple[str, ...]:
    """The text of each of several tokens that stand side by side, by their bytes."""
    data, owners = b"".join(parts), [i for i, part in enumerate(parts) for _ in part]
    texts = [""] * len(parts)
    at = 0
    while at < len(data):
        size = 1 if data[at] < 0xC0 else 2 if data[at] < 0xE0 else 3 if data[at] < 0xF0 else 4
        try:
            texts[owners[at]] += data[at : at + size].decode()
        except UnicodeDecodeError:
            size = 1
            if not texts[owners[at]].endswith(LOST):
                texts[owners[at]] += LOST
        at += size
    return tuple(texts)
