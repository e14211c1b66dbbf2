"""Counts in words."""

from __future__ import annotations


def counted(number: float, word: str, plural: str = "", form: str = "") -> str:
    """Return a number with its word: `1 call`, `2 calls`.

    plural: the word's plural, default with an s; form: format of the number, such as `,`.
    """
    shown = f"{number:{form}}"
    return f"{shown} {word if shown == '1' else plural or f'{word}s'}"
