"""The text of one step, with nothing in it that a terminal would obey."""

from __future__ import annotations

import unicodedata

from remdm_tui.exports import Request
from remdm_tui.ui.panel_data import plain_text

KEPT = "\n\t"
"""Control characters that are text."""
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make others stand elsewhere than where they are."""


def write(request: Request) -> None:
    model = request.recording.model
    text = plain_text(request.trace, request.position, request.sample, model.pieces, model.fragments)
    request.out.write_text(inert(text) + "\n", encoding="utf-8")


def inert(text: str) -> str:
    """The text with control characters as their pictures and without those that reorder it; all else stays."""
    return "".join(map(_inert, text))


def _inert(c: str) -> str:
    if c in BIDI:
        return "\ufffd"
    if unicodedata.category(c) not in ("Cc", "Cs") or c in KEPT:
        return c
    return chr(0x2400 + ord(c)) if c < " " else "\u2421" if c == "\x7f" else "\ufffd"
