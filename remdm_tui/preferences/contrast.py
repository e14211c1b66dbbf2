"""Contrast of two colours, and colours that have enough of it.  Pure."""

from __future__ import annotations

from collections.abc import Iterable

from textual.color import Color

TEXT, LINE = 4.5, 3.0
"""Contrast of text and of lines with what is behind them, at least."""
STEPS = 20


def luminance(colour: Color) -> float:
    """Return the relative luminance, 0 (black) to 1 (white), as WCAG 2 defines it."""
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in (colour.r / 255, colour.g / 255, colour.b / 255)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """Return the contrast of two colours, 1 to 21."""
    darker, brighter = sorted((luminance(one), luminance(other)))
    return (brighter + 0.05) / (darker + 0.05)


def with_contrast(colour: Color, behind: Iterable[Color], least: float) -> Color:
    """Return the colour, or the nearest towards black or white that has a contrast of `least` with all behind it."""
    grounds = list(behind)
    towards = max((Color(0, 0, 0), Color(255, 255, 255)), key=lambda end: min(contrast(end, one) for one in grounds))
    for step in range(STEPS + 1):
        found = colour.blend(towards, step / STEPS, 1.0)
        if all(contrast(found, one) >= least for one in grounds):
            return found
    return towards
