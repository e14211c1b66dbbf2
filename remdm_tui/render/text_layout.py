"""Tokens as the grid shows them, wrapped into rows with numpy.  Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from engine.text.characters import Characters
from remdm_tui.console.sanitize import sanitize

MASK_WIDTH = 4
"""Cells of a masked position: about the width of an average token."""
LONGEST = 32
"""The largest width of one token in cells; longer ones end in an ellipsis."""


def _cells(text: str) -> int:
    """Return the width of sanitized text in cells; fast for ASCII, which most tokens are."""
    return len(text) if text.isascii() else cell_len(text)


@dataclass(frozen=True, eq=False)
class TokenTexts:
    """The vocabulary as the grid shows it, with one entry per token id."""

    texts: tuple[str, ...]
    widths: NDArray[np.int32]
    starts: NDArray[np.bool_]
    """whether a line may break before this token"""
    breaks: NDArray[np.bool_]
    """whether a line must break after this token"""
    characters: Characters | None = None
    """the vocabulary's split characters; None if every token is whole text"""
    ascii_only: bool = False

    @classmethod
    def of(
        cls, pieces: Sequence[str], ascii_only: bool = False, fragments: Mapping[int, bytes] = MappingProxyType({})
    ) -> TokenTexts:
        """Return the layout of a vocabulary; fragments: the bytes of tokens that hold a part of a character."""
        texts = tuple(truncate(sanitize(piece, cells=True, ascii_only=ascii_only), ascii_only) for piece in pieces)
        return cls(
            texts,
            np.array([_cells(text) for text in texts], dtype=np.int32),
            np.array([not piece[:1].isalnum() and piece[:1] != "'" for piece in pieces]),
            np.array(["\n" in piece for piece in pieces]),
            Characters.of(fragments, len(pieces)),
            ascii_only,
        )


def truncate(text: str, ascii_only: bool) -> str:
    """Return the text in at most LONGEST cells."""
    if not text:
        return "?" if ascii_only else "�"
    if _cells(text) <= LONGEST:
        return text
    short = text
    while _cells(short) >= LONGEST:
        short = short[:-1]
    return short + ("~" if ascii_only else "…")


def flow(ends: Sequence[int], starts: NDArray[np.bool_], breaks: NDArray[np.bool_], columns: int) -> list[int]:
    """Wrap L tokens at `columns` cells; return the first token of each row, then the number of tokens.

    `ends` are the L + 1 cells at which tokens begin and the last one ends.  Rows break after `breaks`, else before the
    last token in `starts` that fits, else after the last token that fits.
    """
    total, columns = len(ends) - 1, max(columns, 1)
    forced = (np.flatnonzero(breaks) + 1).tolist()
    allowed = np.flatnonzero(starts).tolist()
    rows = [0]
    while (first := rows[-1]) < total:
        fits = bisect_right(ends, ends[first] + columns) - 1
        stop = bisect_right(forced, first)
        if stop < len(forced) and forced[stop] <= fits:
            rows.append(forced[stop])
            continue
        if fits < total:
            before = bisect_right(allowed, fits)
            if before and allowed[before - 1] > first:
                fits = allowed[before - 1]
        rows.append(min(max(fits, first + 1), total))
    return rows
