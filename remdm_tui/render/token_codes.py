"""The codes of a text's positions, which say how each is drawn, and the style of every code.  Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from engine.records import Change
from remdm_tui.render.palette import Palette
from remdm_tui.render.plate_modes import PLAIN
from remdm_tui.render.text_layout import TokenTexts
from remdm_tui.render.typeset import Canvas

DRAFT = 8
"""Code of a masked position at which a draft stands."""
FRAME, CONFLICT, WRONG = 9, 10, 11
"""Codes of what stands between the tokens of a grid: its lines, and the marks beside a token."""
FAINT = 12
"""Code of a kept token that is dimmed by one grade; those of further grades follow."""
FIRST_LEVEL = 16
"""Codes of cells from here on are confidence levels, below are changes."""
DIFFERENT = 32
"""Added to the codes of positions at which another branch has something else."""
CURSOR = 64
"""Added to the code of the position that is looked at."""
MATCH = 128
"""Added to the codes of positions that a search finds."""


def codes_of(canvas: Canvas, pieces: TokenTexts | None, marked: range, cursor: int | None) -> NDArray[np.uint8]:
    """Return the code of each position; `marked` positions are drawn as the `cursor` is."""
    codes = canvas.change
    if canvas.faint is not None:
        dimmed = (canvas.faint > 0) & (codes == Change.HELD)
        codes = np.where(dimmed, FAINT - 1 + canvas.faint, codes).astype(np.uint8)
    if canvas.drafts is not None:
        codes = np.where((canvas.drafts >= 0) & (codes == Change.MASKED), DRAFT, codes).astype(np.uint8)
    if canvas.levels is not None:
        coloured = (canvas.levels != PLAIN) & (canvas.change != Change.LOCKED)
        codes = np.where(coloured, FIRST_LEVEL + canvas.levels, codes).astype(np.uint8)
    if canvas.different is not None:
        characters = None if pieces is None else pieces.characters
        different = canvas.different if characters is None else characters.widened(canvas.different, canvas.tokens)
        codes = codes + (DIFFERENT * different).astype(np.uint8)
    if canvas.match is not None:
        codes = codes + (MATCH * canvas.match).astype(np.uint8)
    if marked or (cursor is not None and cursor < len(codes)):
        chosen = np.zeros(len(codes), bool)
        chosen[marked.start : marked.stop] = True
        if cursor is not None:
            chosen[cursor : cursor + 1] = True
        codes = codes + (CURSOR * chosen).astype(np.uint8)
    return codes


def styles_of(colours: Palette) -> dict[int, Style]:
    """Return the style of every code."""
    own = {state: look.style for state, look in colours.looks.items()}
    own |= {DRAFT: colours.draft, FRAME: colours.frame, CONFLICT: colours.conflict, WRONG: colours.wrong}
    own |= {FAINT + grade: style for grade, style in enumerate(colours.faint)}
    own |= {FIRST_LEVEL + level: style for level, style in enumerate(colours.levels)}
    own |= {DIFFERENT + code: style + colours.different for code, style in own.items()}
    own |= {MATCH + code: style + colours.match for code, style in own.items()}
    own |= {CURSOR + code: style + colours.cursor for code, style in own.items()}
    return own
