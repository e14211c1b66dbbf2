"""Styles and glyphs of token states and colour modes, for terminals of many, 256, 16 and no colours.  Pure.

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
    """of the levels of a colour mode, the lowest first"""
    draft: Style
    """what the network would put at a masked position"""
    different: Style
    """added to tokens that differ between two branches"""
    cursor: Style
    """added to the inspected token"""
    match: Style
    """added to tokens that a search finds"""
    bars: Style
    """of the remasks on the timeline"""
    frame: Style
    """of the lines around the boxes of a grid"""
    conflict: Style
    """of the marks beside a token that stands twice where it may stand once"""
    wrong: Style
    """of the mark beside a token that differs from the solution"""
    faint: tuple[Style, ...]
    """of kept tokens that the network hardly believes in, the least dimmed first"""


@dataclass(frozen=True)
class Hues:
    """The colours for one number of colours; of a pair the first is for dark themes, the second for light ones."""

    masked: tuple[str, str]
    draft: tuple[str, str]
    prompt: tuple[str, str]
    bars: tuple[str, str]
    wrong: tuple[str, str]
    faint: tuple[tuple[str, str], ...]
    conflict: str
    revealed: str
    edited: str
    edited_text: str
    remasked: str
    remasked_text: str
    match: str
    levels: tuple[str, ...]
    level_text: tuple[str, ...]


LEVEL_COUNT = 6
FAINT_GRADES = 2
"""Grades of dimming, one for each pair of `Hues.faint`."""
LEVEL_COLOURS = ("#3b1c5a", "#54308a", "#31688e", "#21918c", "#5ec962", "#fde725")
"""Behind a token, from the lowest level to the highest."""
CURSOR = Style(reverse=True, bold=True)
_WHITE, _BLACK = "#ffffff", "#000000"
_HALF = (_WHITE,) * 3 + (_BLACK,) * 3

# what a terminal of 256 or 16 colours has exactly: nothing is left to rounding, which makes one of two states
HUES = {
    "truecolor": Hues(
        ("#6c6c6c", "#767676"), ("#9a9a9a", "#565656"), ("#6cb6ff", "#005a9c"), ("#e0662b", "#b8460f"),
        ("#ff7b72", "#a40e26"), (("#b2b2b2", "#3a3a3a"), ("#8a8a8a", "#585858")), "#c8102e",
        "#00a67d", "#d96ad9", _BLACK, "#e0662b", _BLACK, "#f0d050", LEVEL_COLOURS, _HALF,
    ),
    "256": Hues(
        ("#6c6c6c", "#767676"), ("#949494", "#585858"), ("#5fafff", "#005f87"), ("#d75f00", "#af5f00"),
        ("#ff5f5f", "#870000"), (("#b2b2b2", "#3a3a3a"), ("#8a8a8a", "#585858")), "#af0000",
        "#00af87", "#d75fd7", _BLACK, "#d75f00", _BLACK, "#ffd75f",
        ("#5f005f", "#5f00af", "#005f87", "#00afaf", "#5fd75f", "#ffff00"), _HALF,
    ),
    "standard": Hues(
        ("#555555", "#555555"), ("#aaaaaa", "#555555"), ("#55ffff", "#0000aa"), ("#ff5555", "#aa0000"),
        ("#ff5555", "#aa0000"), (("#aaaaaa", "#555555"), ("#aaaaaa", "#555555")), "#aa0000",
        "#00aa00", "#aa00aa", _WHITE, "#aa0000", _WHITE, "#ffff55",
        ("#0000aa", "#aa00aa", "#00aaaa", "#55ff55", "#ffff55", "#ffffff"), (_WHITE,) * 2 + (_BLACK,) * 4,
    ),
}  # fmt: skip
"""By what Rich calls the number of colours of a terminal."""


def palette(dark: bool = True, ascii_only: bool = False, system: str | None = "truecolor") -> Palette:
    """Return the palette for a dark or light theme, with or without characters beyond ASCII."""
    hues = HUES.get("standard" if system == "windows" else system or "", HUES["truecolor"])
    theme = 0 if dark else 1
    looks = {
        Change.MASKED: TokenStyle(Style(color=hues.masked[theme]), "_" if ascii_only else "░", "masked"),
        Change.HELD: TokenStyle(Style(), "", "kept"),
        Change.REVEALED: TokenStyle(
            Style(color=_BLACK, bgcolor=hues.revealed, bold=True, underline=True), "", "revealed"
        ),
        Change.EDITED: TokenStyle(
            Style(color=hues.edited_text, bgcolor=hues.edited, bold=True, italic=True), "", "edited"
        ),
        Change.REMASKED: TokenStyle(
            Style(color=hues.remasked_text, bgcolor=hues.remasked, bold=True), "x" if ascii_only else "╳", "remasked"
        ),
        Change.LOCKED: TokenStyle(
            Style(color=hues.prompt[theme], italic=True, underline2=not ascii_only, underline=ascii_only), "", "prompt"
        ),
    }
    # without colour the lowest levels are underlined and the highest bold
    extra = [Style(underline=True)] * 2 + [Style()] * 2 + [Style(bold=True)] * 2
    levels = tuple(
        Style(color=text, bgcolor=back) + attribute
        for text, back, attribute in zip(hues.level_text, hues.levels, extra, strict=True)
    )
    return Palette(
        {int(state): look for state, look in looks.items()},
        levels,
        draft=Style(color=hues.draft[theme], italic=True),
        # a thin line below the token, whose state stays to be seen
        different=Style(italic=True, underline=True),
        cursor=CURSOR,
        match=Style(color=_BLACK, bgcolor=hues.match, bold=True, italic=True),
        bars=Style(color=hues.bars[theme]),
        frame=Style(color=hues.masked[theme]),
        conflict=Style(color=_WHITE, bgcolor=hues.conflict, bold=True),
        wrong=Style(color=hues.wrong[theme], bold=True),
        # without a colour the least believed are set in italics
        faint=tuple(Style(color=pair[theme], italic=grade > 0) for grade, pair in enumerate(hues.faint)),
    )
