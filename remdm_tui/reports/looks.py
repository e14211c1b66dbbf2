"""How series are distinguished: by colour, and without it by letter, marker and dashes.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice


@dataclass(frozen=True)
class SeriesStyle:
    """How one series is drawn in every plot of a group."""

    letter: str
    """in the terminal"""
    light: str
    """colour on a light background"""
    dark: str
    """colour on a dark background"""
    middle: str
    """colour in a terminal, whose background is unknown"""
    marker: str
    """matplotlib's"""
    dashes: tuple[float, ...]
    """on and off in line widths; empty for a solid line"""


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Okabe and Ito's hues, darker or lighter so that each has a contrast of 3 to 1 with its background
LIGHT = ("#0072b2", "#c44e00", "#00805e", "#b0528c", "#8f6a00", "#3b3b98", "#767676")
DARK = ("#56b4e9", "#f0864a", "#2fc79a", "#e39cc4", "#e6b422", "#a5a5f5", "#b0b0b0")
MIDDLE = ("#2f8fd0", "#dd6a20", "#0f9f78", "#c96aa5", "#b08a10", "#7a7ae0", "#8a8a8a")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (9, 3))


def looks(count: int) -> tuple[SeriesStyle, ...]:
    """Return the looks of `count` series; lists of 7, 9 and 5 repeat together only after 315."""
    sources = (cycle(LETTERS), cycle(LIGHT), cycle(DARK), cycle(MIDDLE), cycle(MARKERS), cycle(DASHES))
    return tuple(SeriesStyle(*parts) for parts in islice(zip(*sources), count))
