"""Numbers as sentences have them."""

from __future__ import annotations


def short(number: float) -> str:
    """Return a number with up to 4 digits, without the zero before the point."""
    text = f"{number:.4g}"
    return text.removeprefix("0") if text.startswith("0.") else text
