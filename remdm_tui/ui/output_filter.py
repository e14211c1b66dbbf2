"""The last filter before the screen: no character that a widget draws can control the terminal."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from remdm_tui.console.sanitize import is_visible, sanitize

STAND_INS = {"🔎": "> ", "●": "*", "•": "*", "▶": ">", "▼": "v"} | dict(zip("─━▔│┃╭╮╰╯┌┐└┘├┤┬┴┼", "---||+++++++++++++"))
"""ASCII for what Textual itself draws; each is as wide as its character."""
BLOCKS = range(0x2580, 0x25A0)
"""Block elements: borders and the ends of scrollbars, whose colours say enough."""


class SafeFilter(LineFilter):
    """Replaces unsafe characters without moving their neighbours."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.control or _is_plain(segment.text) for segment in segments):
            return segments
        return [
            segment if segment.control else Segment(self.replaced(segment.text), segment.style) for segment in segments
        ]  # fmt: skip

    def replaced(self, text: str) -> str:
        """Return the text in the same number of cells."""
        return _safe(text)


class AsciiFilter(SafeFilter):
    """Replaces every character that is not ASCII too, wherever it comes from."""

    def replaced(self, text: str) -> str:
        return _ascii(text)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


@lru_cache(maxsize=4096)
def _safe(text: str) -> str:
    """Replace unsafe characters; drop a character of width zero unless it combines with a letter."""
    return "".join(c if is_visible(c) else "�" * cell_len(c) for c in text)


@lru_cache(maxsize=4096)
def _ascii(text: str) -> str:
    """Replace characters by ASCII of the same width, `?` where nothing is like them."""
    return "".join(map(_ascii_cells, text))


def _ascii_cells(c: str) -> str:
    if c in STAND_INS:
        return STAND_INS[c]
    width = cell_len(c)
    return " " * width if ord(c) in BLOCKS else sanitize(c, cells=True, ascii_only=True)[:width].ljust(width, "?")
