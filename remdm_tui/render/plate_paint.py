"""A pooled plate as characters and colours: half blocks, quadrants, braille, or one sign a cell.  Pure numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remdm_tui.render.palette import HUES, LEVEL_COLOURS
from remdm_tui.render.plate import Bytes, State
from remdm_tui.render.plate_modes import LOST, Mode
from remdm_tui.render.plot import DOTS

RGB = tuple[int, int, int]
GROUNDS = 8
"""Shades from masked to kept."""
NONE, GROUND = 0, 1
"""Colours: none (the step is not recorded yet), and from `GROUND` on the shades of the ground."""
PROMPT = GROUND + GROUNDS
EVENT = PROMPT + 1
"""Colours from here on stand out on the ground."""
REVEALED, EDITED, REMASKED = EVENT, EVENT + 1, EVENT + 2
SCALE = EVENT + 3
"""The first of the levels of a mode with a scale."""
COLOURS = SCALE + len(LEVEL_COLOURS)
MARKED = 32
"""Added to a colour in the column of the step on screen and in the row of the selected position."""
_OF_STATE = np.array([NONE, GROUND, GROUND, GROUND, REVEALED, EDITED, REMASKED], np.uint8)
"""By `State`; `GROUND` where the share decides."""

UPPER, LOWER, FULL = "▀", "▄", " "
QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
"""By bits: upper left 1, upper right 2, lower left 4, lower right 8."""


@dataclass(frozen=True, eq=False)
class Painting:
    """Characters [rows, columns] with the colour before and behind each."""

    signs: NDArray[np.uint32]
    front: Bytes
    back: Bytes


@dataclass(frozen=True)
class Marks:
    """How many positions and steps stand in a character, and how they are drawn."""

    name: str
    rows: int
    columns: int
    paint: Callable[[Bytes], Painting]
    """of colours [rows, columns] of all characters together"""


def colours_of(worst: Bytes, share: NDArray[np.float32], mode: Mode) -> Bytes:
    """Return the colour of each cell: the ground blends from masked to kept by the share that holds a token."""
    if mode.levels:
        return np.array([
            NONE, GROUND, *(SCALE + level for level in mode.levels), REMASKED,
        ], np.uint8)[np.minimum(worst, LOST)]  # fmt: skip
    shares = np.fmax(share, 0)
    shades = np.rint(shares * (GROUNDS - 1)).astype(np.uint8)
    # something masked is never quite kept, and something kept never quite masked
    shades = np.minimum(np.maximum(shades, shares > 0), GROUNDS - 1 - (shares < 1))
    prompt = (worst == State.LOCKED) & (shares == 1)
    ground = np.where(prompt, PROMPT, GROUND + shades)
    own = _OF_STATE[worst]
    return np.where(own == GROUND, ground, own).astype(np.uint8)


def half_blocks(colours: Bytes) -> Painting:
    """Draw two positions a character."""
    top, bottom = colours[::2], colours[1::2]
    signs = np.where(top == bottom, ord(FULL), np.where(top == NONE, ord(LOWER), ord(UPPER))).astype(np.uint32)
    lower = signs == ord(LOWER)
    return Painting(signs, np.where(lower, bottom, top), np.where(lower, top, bottom))


def quadrants(colours: Bytes) -> Painting:
    """Draw two positions and two steps a character; of more than two colours the two that differ most in rank."""
    parts = np.stack([colours[y::2, x::2] for y in (0, 1) for x in (0, 1)])
    rank = parts % MARKED
    front, back = parts[rank.argmax(axis=0), *np.indices(parts.shape[1:])], _ground(parts)
    event = front % MARKED >= EVENT
    lit = np.where(event, rank >= EVENT, parts == front) & (front != back)
    bits = (lit * np.array([1, 2, 4, 8])[:, None, None]).sum(axis=0)
    # an event all around leaves nothing of the ground
    whole = bits == 15
    signs = np.array([ord(c) for c in QUADRANTS], np.uint32)[np.where(whole, 0, bits)]
    return Painting(signs, front, np.where(whole, front, back))


def braille(colours: Bytes) -> Painting:
    """Draw four positions and two steps a character: events as dots on the ground of the whole character."""
    parts = np.stack([colours[y::4, x::2] for y in range(4) for x in (0, 1)])
    rank = parts % MARKED
    front = parts[rank.argmax(axis=0), *np.indices(parts.shape[1:])]
    bits = ((rank >= EVENT) * DOTS.reshape(-1)[:, None, None]).sum(axis=0)
    signs = np.where(bits > 0, 0x2800 + bits, ord(FULL)).astype(np.uint32)
    return Painting(signs, front, _ground(parts))


def _ground(parts: Bytes) -> Bytes:
    """Return the middle shade of the parts [parts, rows, columns] that are no events; masked where all are."""
    marked = parts.max(axis=0) >= MARKED
    rank = np.sort(np.where(parts % MARKED >= EVENT, 255, parts % MARKED), axis=0)
    count = (rank < 255).sum(axis=0)
    middle = np.take_along_axis(rank, (np.maximum(count - 1, 0) // 2)[None], axis=0)[0]
    return (np.where(count > 0, middle, GROUND) + MARKED * marked).astype(np.uint8)


def glyphs(signs: str) -> Callable[[Bytes], Painting]:
    """Return what draws one sign a character: every colour has its own, so that none is needed."""
    table = np.array([ord(c) for c in signs], np.uint32)

    def paint(colours: Bytes) -> Painting:
        return Painting(table[colours % MARKED], colours, np.where(colours >= MARKED, MARKED, NONE).astype(np.uint8))

    return paint


def _signs(masked: str, mixed: str, kept: str, events: str) -> str:
    ground = [masked, *[mixed] * (GROUNDS - 2), kept]
    return "".join([" ", *ground, events, *(str(level) for level in range(1, COLOURS - SCALE + 1))])


HALF = Marks("half blocks", 2, 1, half_blocks)
QUADRANT = Marks("quadrants", 2, 2, quadrants)
BRAILLE = Marks("braille", 4, 2, braille)
ASCII = Marks("signs", 1, 1, glyphs(_signs("_", "-", "=", "|oex")))
SIGNS = Marks("signs", 1, 1, glyphs(_signs("░", "▒", "▓", "│+◆╳")))
"""For terminals without colour: the sign tells the state."""
BLOCKS = (HALF, QUADRANT, BRAILLE)
"""From the fewest positions and steps a character to the most."""
LEGENDS = {
    "ascii": "_ masked = kept o new x remasked e edited",
    "signs": "░ masked ▓ kept + new ╳ remasked ◆ edited",
}


MARKS = {"truecolor": 0.45, "256": 0.5}
"""How far a marked cell goes to the colour of the mark; of 256 colours, the page's would be a mauve at less."""


def colour_table(dark: bool, page: RGB, system: str | None = "truecolor") -> list[RGB]:
    """Return red, green and blue of every colour, those that are `MARKED` from index MARKED on; NONE is the page's.

    system: how many colours the terminal has, as Rich calls it; it has all but the marked ones exactly.
    """
    greys, events = TABLES.get((system or "", dark)) or TABLES["truecolor", dark]
    if len(greys) == 2:
        ground = [blended(rgb_of(greys[0]), rgb_of(greys[1]), i / (GROUNDS - 1)) for i in range(GROUNDS)]
    else:
        ground = [rgb_of(grey) for grey in greys]
    scale = HUES.get(system or "", HUES["truecolor"]).levels
    plain = [page, *ground, *map(rgb_of, events), *map(rgb_of, scale)]
    mark: RGB = (0xFF, 0xE0, 0x66) if dark else (0x30, 0x30, 0x00)
    filler = [page] * (MARKED - len(plain))
    part = MARKS.get(system or "", MARKS["truecolor"])
    return [*plain, *filler, *(blended(colour, mark, part) for colour in plain)]


# the ground from masked to kept; then prompt, revealed, edited, remasked: the brighter and the darker of the text's
# colours, so that both stand out on grey
TABLES = {
    ("truecolor", True): (("#26262c", "#808086"), ("#5a86b8", "#00c896", "#d96ad9", "#f06428")),
    ("truecolor", False): (("#d4d4da", "#8c8c92"), ("#4a86c0", "#008f6c", "#9b30b0", "#d85014")),
    ("256", True): (
        ("#262626", "#303030", "#444444", "#4e4e4e", "#585858", "#626262", "#767676", "#808080"),
        ("#5f87af", "#00d787", "#d75fd7", "#ff5f00"),
    ),
    ("256", False): (
        ("#dadada", "#d0d0d0", "#c6c6c6", "#bcbcbc", "#b2b2b2", "#a8a8a8", "#9e9e9e", "#8a8a8a"),
        ("#5f87af", "#00875f", "#8700af", "#d75f00"),
    ),
    ("standard", True): (("#555555", "#aaaaaa"), ("#5555ff", "#55ff55", "#ff55ff", "#ff5555")),
    ("standard", False): (("#aaaaaa", "#555555"), ("#0000aa", "#00aa00", "#aa00aa", "#aa0000")),
}
"""By number of colours and whether the theme is dark."""


def blended(one: RGB, other: RGB, part: float) -> RGB:
    """Return a colour between two; part 0 is `one`."""
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def rgb_of(colour: str) -> RGB:
    """Return red, green and blue of #rrggbb."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
