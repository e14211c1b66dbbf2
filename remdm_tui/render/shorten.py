"""Shorten a line to a width without cutting a number.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

WITH_NUMBER = re.compile(r"\S*[0-9]\S*")
"""A word with a digit, such as `eta=0.017`."""
UNIT = re.compile(r"(?:eta|p|seed|sample|branch|pane|step|steps|of|at|next) ?$")
"""Words that say nothing without the number after them."""


def shorten(text: str, width: int, ascii_only: bool = False) -> str:
    """Return `text` in at most `width` cells; what is left out is marked by an ellipsis, and no number is cut."""
    if cell_len(text) <= width:
        return text
    dots = "..." if ascii_only else "…"
    room = width - len(dots)
    if room <= 0:
        return dots[: max(0, width)]
    left, end = "", 0
    for char in text:
        if cell_len(left + char) > room:
            break
        left, end = left + char, end + len(char)
    for number in WITH_NUMBER.finditer(text):
        if number.start() < end < number.end():
            left = text[: number.start()].rstrip(" (,:=")
            left = UNIT.sub("", left).rstrip(" (,:=") if left else left
            break
    return left.rstrip() + dots


def fit(text: str, width: int, ascii_only: bool = False) -> str:
    """Return `text` in exactly `width` cells."""
    return set_cell_size(shorten(text, width, ascii_only), max(0, width))


def join_fitting(parts: Sequence[str], bar: str, width: int, ascii_only: bool = False) -> str:
    """Return the parts with `bar` between them, in at most `width` cells: the last ones are left out whole."""
    for count in range(len(parts), 0, -1):
        line = bar.join(parts[:count])
        more = bar + ("..." if ascii_only else "…") if count < len(parts) else ""
        if cell_len(line + more) <= width:
            return line + more
    return shorten(parts[0], width, ascii_only) if parts else ""


def shorten_message(text: str, width: int, ascii_only: bool = False) -> str:
    """Return a message in at most `width` cells on one line; its end stays: keys in brackets, a reason, a finding."""
    text = " ".join(text.split())
    if cell_len(text) <= width:
        return text
    # the start of a path says least
    path = max((word for word in text.split() if "/" in word), key=len, default="")
    dots = "..." if ascii_only else "…"
    room = len(path) - (cell_len(text) - width) - len(dots)
    if room >= 8:
        return text.replace(path, dots + path[-room:], 1)
    ends = (text.rfind(" (") if text.endswith(")") else -1, text.rfind(" - "), text.rfind(": "))
    at = next((end for end in ends if end > 0 and cell_len(text[end:]) <= width * 2 // 3), None)
    if at is None:
        return shorten(text, width, ascii_only)
    return shorten(text[:at], width - cell_len(text[at:]), ascii_only) + text[at:]
