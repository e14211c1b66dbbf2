"""The last filter before the screen: no character that a widget draws can control the terminal."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from remdm_tui.console.sanitize import is_visible


class SafeFilter(LineFilter):
    """Replaces unsafe characters without moving their neighbours."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.control or _is_plain(segment.text) for segment in segments):
            return segments
        return [
            segment if segment.control else Segment(_replaced(segment.text), segment.style) for segment in segments
        ]  # fmt: skip


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


@lru_cache(maxsize=4096)
def _replaced(text: str) -> str:
    """Return the text in the same number of cells; drop a character of width zero unless it combines with a letter."""
    return "".join(c if is_visible(c) else "�" * cell_len(c) for c in text)
