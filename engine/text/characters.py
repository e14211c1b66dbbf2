"""Characters whose bytes lie in several tokens: put together from the tokens that stand side by side.  numpy only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
        self._tokens = {data: token for token, data in sorted(self._bytes.items(), reverse=True)}

    @classmethod
    def of(cls, fragments: Mapping[int, bytes], size: int) -> Characters | None:
        """Return the vocabulary's split characters; None where every token is whole text."""
        return cls(fragments, size) if fragments else None

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
            yield places[begin], fragment_texts(tuple(self._bytes[token] for token in ids[begin:end]))

    def texts(self, tokens: NDArray[np.integer], pieces: Sequence[str]) -> list[str]:
        """The text of each token, [L], whole characters at the first of theirs."""
        found = [pieces[token] for token in tokens.tolist()]
        for first, texts in self.groups(tokens):
            found[first : first + len(texts)] = texts
        return found

    def spans(self, tokens: NDArray[np.integer]) -> Iterator[tuple[int, int, str]]:
        """First token, token behind the last, and text of each character that lies in tokens of parts; tokens: [L]."""
        for place, texts in self.groups(tokens):
            edges = [i for i, text in enumerate(texts) if text] + [len(texts)]
            for first, last in pairwise(edges):
                yield place + first, place + last, texts[first]

    def where(self, tokens: NDArray[np.integer], matches: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Return whether a split character that matches begins at each position; tokens: [B, L]."""
        found = np.zeros(tokens.shape, bool)
        for row, of_row in enumerate(tokens):
            found[row, [first for first, _, text in self.spans(of_row) if matches(text)]] = True
        return found

    def widened(self, marked: NDArray[np.bool_], tokens: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return the marks, [L], with every character whole that has one on any of its tokens."""
        wide = marked.copy()
        for first, last, _ in self.spans(tokens):
            wide[first:last] |= marked[first:last].any()
        return wide

    def spell(self, text: str) -> tuple[int, ...]:
        """Return the fewest longest tokens whose bytes make up one character; empty where none do."""
        return self._spell(text.encode("utf-8", "replace")) if len(text) == 1 else ()

    def _spell(self, data: bytes) -> tuple[int, ...]:
        for size in range(len(data), 0, -1):
            token = self._tokens.get(data[:size])
            if token is not None and (size == len(data) or self._spell(data[size:])):
                return (token, *self._spell(data[size:]))
        return ()

    def token(self, name: str) -> int | None:
        r"""Return the token that `name` gave this name, such as \xe4\xb8; None for no part of a character."""
        return next((token for token in sorted(self._bytes) if self.name(token) == name), None)

    def name(self, token: int) -> str:
        r"""Return what is typed for a part of a character: its bytes, such as \xe4\xb8; empty for whole text."""
        return self._bytes.get(token, b"").decode("utf-8", "backslashreplace")

    def character(self, token: int, place: int, tokens: NDArray[np.integer]) -> str:
        """Return the whole character that a token would be a part of at a place; empty where it would not be whole.

        tokens: [L], of which the one at `place` is not looked at.
        """
        tokens = tokens.copy()
        tokens[place] = token
        found = next((text for first, last, text in self.spans(tokens) if first <= place < last), "")
        return "" if LOST in found else found.strip()


@lru_cache(maxsize=KEPT)
def fragment_texts(parts: tuple[bytes, ...]) -> tuple[str, ...]:
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
