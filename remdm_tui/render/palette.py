"""Styles and glyphs of token states and confidences, with and without colour.  Pure.

The hues (bluish green, vermillion, two greys) stay apart for protan and deutan vision; every state also
differs by glyph or attribute, so nothing is lost under NO_COLOR.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style

from engine.records import Change


@dataclass(frozen=True)
class TokenStyle:
    """A state's style, the glyph that fills it (empty: the token's own text), and its name."""

    style: Style
    fill: str
    name: str


@dataclass(frozen=True)
class Palette:
    """The styles for one theme and one kind of terminal."""

    looks: dict[int, TokenStyle]
    levels: tuple[Style, ...]
    """from least to most confident"""
    draft: Style
    """what the network would put at a masked position"""
    different: Style
    """added to tokens that differ between two branches"""
    cursor: Style
    """added to the inspected token"""
    match: Style
    """added to tokens that a search finds"""


LEVEL_COUNT = 6
DIFFERENT = Style(italic=True, underline=True)
"""A thin line below the token, whose state stays to be seen."""
CURSOR = Style(reverse=True, bold=True)
LEVEL_COLOURS = ("#3b1c5a", "#54308a", "#31688e", "#21918c", "#5ec962", "#fde725")
"""Behind a token, from least to most confident."""
MATCH = Style(color="#000000", bgcolor="#f0d050", bold=True, italic=True)
_LEVEL_TEXT = ("#ffffff", "#ffffff", "#ffffff", "#000000", "#000000", "#000000")


def palette(dark: bool = True, ascii_only: bool = False) -> Palette:
    """Return the palette for a dark or light theme, with or without characters beyond ASCII."""
    grey, blue = ("#6c6c6c", "#6cb6ff") if dark else ("#949494", "#005a9c")
    looks = {
        Change.MASKED: TokenStyle(Style(color=grey), "_" if ascii_only else "░", "masked"),
        Change.HELD: TokenStyle(Style(), "", "kept"),
        Change.REVEALED: TokenStyle(
            Style(color="#000000", bgcolor="#00a67d", bold=True, underline=True), "", "revealed"
        ),
        Change.REMASKED: TokenStyle(
            Style(color="#000000", bgcolor="#e0662b", bold=True), "x" if ascii_only else "╳", "remasked"
        ),
        Change.LOCKED: TokenStyle(
            Style(color=blue, italic=True, underline2=not ascii_only, underline=ascii_only), "", "prompt"
        ),
    }
    draft = Style(color="#9a9a9a" if dark else "#5f5f5f", italic=True)
    # without colour the least confident are underlined and the most confident bold
    extra = [Style(underline=True)] * 2 + [Style()] * 2 + [Style(bold=True)] * 2
    levels = tuple(
        Style(color=text, bgcolor=back) + attribute
        for text, back, attribute in zip(_LEVEL_TEXT, LEVEL_COLOURS, extra, strict=True)
    )
    return Palette({int(state): look for state, look in looks.items()}, levels, draft, DIFFERENT, CURSOR, MATCH)
