"""Characters whose bytes are split over several tokens: assemble them from neighbouring tokens.  numpy only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

LOST = "\ufffd"
"""Replacement for bytes that are no complete character."""
CONTINUES = range(0x80, 0xC0)
"""Continuation bytes of UTF-8."""
CACHED = 1 << 16
"""The number of token groups whose texts are cached."""


class Characters:
    """A vocabulary in which some tokens hold a fragment: a part of a character."""

    def __init__(self, fragments: Mapping[int, bytes], size: int) -> None:
        """fragments: the bytes of each token that is a fragment; size: vocabulary size."""
        self._bytes = {token: data for token, data in fragments.items() if 0 <= token < size and data}
        self.partial, self._begins = np.zeros(size, bool), np.zeros(size, bool)
        self.partial[list(self._bytes)] = True
        self._begins[[token for token, data in self._bytes.items() if data[0] not in CONTINUES]] = True
        self._tokens = {data: token for token, data in sorted(self._bytes.items(), reverse=True)}

    @classmethod
    def of(cls, fragments: Mapping[int, bytes], size: int) -> Characters | None:
        """Return the split characters of a vocabulary; None if every token is whole text."""
        return cls(fragments, size) if fragments else None

    def groups(self, tokens: NDArray[np.integer]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield the first position of each group of neighbouring fragments, and the text of each token in it.

        The first token of a character has its whole text, the others have none.  tokens: [L].
        """
        at = np.flatnonzero(self.partial[tokens])
        if not len(at):
            return
        first = self._begins[tokens[at]] | (np.diff(at, prepend=-2) != 1)
        edges = [*np.flatnonzero(first).tolist(), len(at)]
        ids, positions = tokens[at].tolist(), at.tolist()
        for begin, end in pairwise(edges):
            yield positions[begin], fragment_texts(tuple(self._bytes[token] for token in ids[begin:end]))

    def texts(self, tokens: NDArray[np.integer], pieces: Sequence[str]) -> list[str]:
        """Return the text of each token, [L]; a split character is the text of its first token."""
        found = [pieces[token] for token in tokens.tolist()]
        for first, texts in self.groups(tokens):
            found[first : first + len(texts)] = texts
        return found

    def spans(self, tokens: NDArray[np.integer]) -> Iterator[tuple[int, int, str]]:
        """Yield first position, end position and text of each split character; tokens: [L]."""
        for start, texts in self.groups(tokens):
            edges = [i for i, text in enumerate(texts) if text] + [len(texts)]
            for first, last in pairwise(edges):
                yield start + first, start + last, texts[first]

    def where(self, tokens: NDArray[np.integer], matches: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Return whether a split character that matches begins at each position; tokens: [B, L]."""
        found = np.zeros(tokens.shape, bool)
        for row, of_row in enumerate(tokens):
            found[row, [first for first, _, text in self.spans(of_row) if matches(text)]] = True
        return found

    def widened(self, marked: NDArray[np.bool_], tokens: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return the marks, [L], extended to all tokens of each split character that has one."""
        wide = marked.copy()
        for first, last, _ in self.spans(tokens):
            wide[first:last] |= marked[first:last].any()
        return wide

    def spell(self, text: str) -> tuple[int, ...]:
        """Return the tokens whose bytes make up one character, longest first; empty if no tokens do."""
        return self._spell(text.encode("utf-8", "replace")) if len(text) == 1 else ()

    def _spell(self, data: bytes) -> tuple[int, ...]:
        for size in range(len(data), 0, -1):
            token = self._tokens.get(data[:size])
            if token is not None and (size == len(data) or self._spell(data[size:])):
                return (token, *self._spell(data[size:]))
        return ()

    def token(self, name: str) -> int | None:
        r"""Return the fragment with this `name`, such as \xe4\xb8; None for an unknown name."""
        return next((token for token in sorted(self._bytes) if self.name(token) == name), None)

    def name(self, token: int) -> str:
        r"""Return the name to type for a fragment: its bytes, such as \xe4\xb8; empty for whole text."""
        return self._bytes.get(token, b"").decode("utf-8", "backslashreplace")

    def character(self, token: int, position: int, tokens: NDArray[np.integer]) -> str:
        """Return the character that a token would complete at a position; empty if it would complete none.

        tokens: [L]; the one at `position` is ignored.
        """
        tokens = tokens.copy()
        tokens[position] = token
        found = next((text for first, last, text in self.spans(tokens) if first <= position < last), "")
        return "" if LOST in found else found.strip()


@lru_cache(maxsize=CACHED)
def fragment_texts(parts: tuple[bytes, ...]) -> tuple[str, ...]:
    """Return the text of each of several neighbouring fragments, given their bytes."""
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
