"""Typeset a sample's tokens as lines of text runs; neighbours of one style share a run.  Pure numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size

from engine.records import Change
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.text_layout import LONGEST, MASK_WIDTH, TokenTexts, flow, truncate

CONTINUED = "<"
"""Shown for a token that continues the character to its left."""
HIDDEN = (int(Change.MASKED), int(Change.REMASKED))


@dataclass(frozen=True, eq=False)
class Canvas:
    """One sample at one step; arrays are [L], and `before` holds the tokens one step earlier."""

    tokens: NDArray[np.int32]
    change: NDArray[np.uint8]
    held: NDArray[np.float32]
    before: NDArray[np.int32]
    different: NDArray[np.bool_] | None = None
    """where another branch differs"""
    match: NDArray[np.bool_] | None = None
    """where a search finds something"""
    drafts: NDArray[np.int32] | None = None
    """the token that the network would put at a masked position; -1 elsewhere"""
    levels: NDArray[np.uint8] | None = None
    """level of the colour mode, `PLAIN` where the state is shown; None: everywhere"""
    repeats: NDArray[np.bool_] | None = None
    """where a token of a grid stands twice in a row, column or box that may hold it once"""
    wrong: NDArray[np.bool_] | None = None
    """where a token differs from the solution"""
    faint: NDArray[np.uint8] | None = None
    """how far a kept token is dimmed, 0 to `palette.FAINT_GRADES`; None: none is"""


@dataclass(frozen=True, eq=False)
class Type:
    """All texts that can be drawn: the vocabulary, then the fill of each hidden state in every width."""

    pieces: TokenTexts
    texts: list[str]
    blanks: NDArray[np.int64]
    """index in `texts` of the first fill, by state; 0 for states that show their token"""
    whole: dict[str, tuple[int, int]] = field(default_factory=dict)
    """index in `texts` and width of each character that several tokens make up"""
    drafts: dict[int, int] = field(default_factory=dict)
    """index in `texts` of each token that was drafted"""

    def character(self, text: str) -> tuple[int, int]:
        """Return index in `texts` and width of what a part of a character shows."""
        if text not in self.whole:
            plain = self.pieces.ascii_only
            shown = truncate(sanitize(text, cells=True, ascii_only=plain), plain) if text else CONTINUED
            self.texts.append(shown)
            self.whole[text] = len(self.texts) - 1, cell_len(shown)
        return self.whole[text]

    def draft(self, token: int) -> int:
        """Return the index in `texts` of a token in the cells of a mask, so that a draft moves nothing."""
        if token not in self.drafts:
            text = self.pieces.texts[token]
            if cell_len(text) > MASK_WIDTH:
                text = set_cell_size(text, MASK_WIDTH - 1) + ("~" if self.pieces.ascii_only else "…")
            self.texts.append(set_cell_size(text, MASK_WIDTH))
            self.drafts[token] = len(self.texts) - 1
        return self.drafts[token]

    def words(self, tokens: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return index in `texts` and width of what each token shows; tokens: [L]."""
        indices, widths = tokens.astype(np.int64), self.pieces.widths[tokens]
        characters = self.pieces.characters
        if characters is not None:
            for first, texts in characters.groups(tokens):
                for i, text in enumerate(texts, first):
                    indices[i], widths[i] = self.character(text)
        return indices, widths

    @classmethod
    def of(cls, pieces: TokenTexts, fills: Mapping[int, str]) -> Type:
        """Return the texts for a vocabulary; fills: the glyph of each hidden state."""
        texts, blanks = list(pieces.texts), np.zeros(len(Change), np.int64)
        for state, glyph in fills.items():
            blanks[state] = len(texts)
            # the leading space separates neighbours, so that positions can be counted
            texts += [" " * (width > 1) + glyph * (width - (width > 1)) for width in range(LONGEST + 1)]
        return cls(pieces, texts, blanks)


@dataclass(frozen=True, eq=False)
class Page:
    """Lines of runs; line i has the runs firsts[i] to firsts[i + 1] - 1 and fills used[i] cells."""

    texts: list[str]
    codes: list[int]
    firsts: list[int]
    used: list[int]
    keys: list[bytes]
    """content of each line, to compare it with others"""
    ends: list[int]
    """cells at which tokens begin and the last one ends, as if in one line"""
    rows: list[int]
    """the first token of each line, then the number of tokens"""


BLANK = Page([], [], [0], [], [], [0], [0])


def typeset(canvas: Canvas, codes: NDArray[np.uint8], type_: Type, columns: int) -> Page:
    """Wrap a canvas at `columns` cells; neighbours with equal `codes` [L] share a run."""
    pieces, tokens, change = type_.pieces, canvas.tokens, canvas.change
    hidden = (change == Change.MASKED) | (change == Change.REMASKED)
    words, widths = type_.words(tokens)
    remasked = change == Change.REMASKED
    if remasked.any():
        # a token just remasked keeps its width, so that the text does not jump
        widths[remasked] = type_.words(canvas.before)[1][remasked]
    widths[change == Change.MASKED] = MASK_WIDTH
    shown = np.where(hidden, type_.blanks[change] + widths, words)
    if canvas.drafts is not None:
        for position in np.flatnonzero((canvas.drafts >= 0) & (change == Change.MASKED)).tolist():
            shown[position] = type_.draft(int(canvas.drafts[position]))
    starts = pieces.starts[tokens] | hidden
    if pieces.characters is not None:
        starts &= shown != type_.character("")[0]
    ends = [0, *np.cumsum(widths).tolist()]
    rows = flow(ends, starts, pieces.breaks[tokens] & ~hidden, columns)
    cut = np.zeros(len(tokens) + 1, bool)
    cut[1:-1] = codes[1:] != codes[:-1]
    cut[rows] = True
    edges = np.flatnonzero(cut)
    drawn = list(map(type_.texts.__getitem__, shown.tolist()))
    drawn_as = shown * 256 + codes
    return Page(
        # most runs are of one token
        texts=[drawn[a] if b == a + 1 else "".join(drawn[a:b]) for a, b in pairwise(edges.tolist())],
        codes=codes[edges[:-1]].tolist(),
        firsts=np.searchsorted(edges, rows).tolist(),
        used=[ends[b] - ends[a] for a, b in pairwise(rows)],
        keys=[drawn_as[a:b].tobytes() for a, b in pairwise(rows)],
        ends=ends,
        rows=rows,
    )
