"""The themes: Textual's and one of high contrast."""

from __future__ import annotations

from collections.abc import Mapping

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from remdm_tui.preferences.contrast import LINE, TEXT, with_contrast

HIGH_CONTRAST = Theme(
    name="high-contrast",
    primary="#6cb6ff",
    secondary="#ffffff",
    accent="#ffd24a",
    warning="#ffd24a",
    error="#ff7a7a",
    success="#5cf0b0",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
)
THEMES: dict[str, Theme] = {**BUILTIN_THEMES, HIGH_CONTRAST.name: HIGH_CONTRAST}
"""By name."""

READABLE = (
    ("line", "secondary", ("background", "surface"), LINE),
    ("line-text", "primary", ("background", "surface"), TEXT),
    ("line-focus", "accent", ("background", "surface"), TEXT),
    ("note", "foreground", ("background", "surface", "panel"), TEXT),
    ("complaint", "text-error", ("background", "surface"), TEXT),
    ("block-cursor-foreground", "block-cursor-foreground", ("block-cursor-background",), TEXT),
    ("footer-key-foreground", "footer-key-foreground", ("footer-background",), TEXT),
)
"""Variables of the style sheet: name, the theme's colour that each is like, what is behind it, its contrast."""
PALE = 0.35
"""By how much a note is paler than other text."""


FEW = {
    ("256", True): {"panel": "#303030", "footer-background": "#303030"},
    ("256", False): {"panel": "#c6c6c6", "footer-background": "#c6c6c6", "footer-key-foreground": "#00005f"},
    ("standard", True): {
        "panel": "#0000aa", "footer-background": "#0000aa", "footer-foreground": "#ffffff", "line": "#aaaaaa",
        "line-text": "#55ffff", "line-focus": "#ffff55", "note": "#aaaaaa", "footer-key-foreground": "#ffff55",
    },
    ("standard", False): {
        "panel": "#aaaaaa", "footer-background": "#aaaaaa", "footer-foreground": "#000000", "line": "#555555",
        "line-text": "#0000aa", "line-focus": "#aa00aa", "note": "#000000", "footer-key-foreground": "#0000aa",
    },
}  # fmt: skip
"""Variables on a terminal of few colours, by their number and whether the theme is dark: rounding makes bars navy."""


def readable_variables(theme: Mapping[str, str], dark: bool = True, system: str | None = "truecolor") -> dict[str, str]:
    """Return `READABLE` for the variables of a theme; where it leaves a colour to the terminal, it stays so.

    system: how many colours the terminal has, as Rich calls it; with few they are those of `FEW`.
    """
    few = FEW.get(("standard" if system == "windows" else system or "", dark), {})
    theme = {**theme, **few}
    found: dict[str, str] = {}
    for name, like, behind, least in READABLE:
        colour = theme.get(like, theme["foreground"])
        if colour.startswith("auto"):
            # Textual's own choice is black or white with a little of what is behind it
            colour = theme["foreground"]
        try:
            grounds = [Color.parse(theme[ground]) for ground in behind if ground in theme]
            parsed = Color.parse(colour)
            if name == "note":
                parsed = parsed.blend(grounds[0], PALE, 1.0)
            if any(one.ansi is not None for one in (parsed, *grounds)):
                raise ColorParseError("left to the terminal")
            found[name] = with_contrast(parsed, grounds, least).hex
        except ColorParseError:
            found[name] = colour
    return found | few
