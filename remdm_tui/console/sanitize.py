"""Makes untrusted text safe to show: no character acts on a terminal or is invisible.  Pure."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

INVISIBLE = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))
"""Printable characters, by Python's definition, that are invisible on a screen."""
SPACES = "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000"
"""Spaces that are shown as a plain one."""
JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
"""ZWNJ, ZWJ and the emoji's variation selectors, without which Persian, Indic scripts and many emoji are misspelled."""
BREAKS = {"\n": "↵", "\t": "→"}
ASCII = {"\n": "|", "\t": " ", "—": "-", "–": "-", "…": ".", "“": '"', "”": '"', "‘": "'", "’": "'"} | {
    "£": "L", "é": "e", "è": "e",
}  # fmt: skip
"""Plain stand-ins for line breaks and for what is common in English text."""


def sanitize(
    text: str, *, lines: bool = False, joiners: bool = False, cells: bool = False, ascii_only: bool = False
) -> str:
    """Return the text with every control, bidi, zero-width and unassigned character made visible.

    Line breaks and tabs stay.  C0 controls such as ESC become their pictures (U+241B), others Python escapes.
    lines: line breaks and tabs stay; else they become arrows, so that no text can pretend to be another line.
    joiners: `JOINERS` stay too, for text that is to be read rather than a name to be recognised.
    cells: each character stays one character of one or two cells, as a grid needs it: what has no picture becomes
    U+FFFD, and so do combining characters.  ascii_only: the same in ASCII, with `?`.
    """
    if text.isascii() and text.isprintable():
        return text
    if lines and ("\n" in text or "\t" in text):
        kept = "\n" if "\n" in text else "\t"
        parts = text.split(kept)
        return kept.join(
            sanitize(part, lines=True, joiners=joiners, cells=cells, ascii_only=ascii_only) for part in parts
        )
    if cells or ascii_only:
        return _in_cells(text, ascii_only)
    return "".join(c if joiners and c in JOINERS else _spelled(c) for c in text)


def escape_json(text: str) -> str:
    r"""Return the same JSON with `\uXXXX` for what `sanitize` changes: it decodes to the same data."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or is_visible(c) else _units(c) for c in text)


def is_visible(character: str) -> bool:
    """Return whether the character is printable and visible."""
    return character.isprintable() and character not in INVISIBLE


@lru_cache(maxsize=65_536)
def _in_cells(text: str, ascii_only: bool) -> str:
    return "".join(_cell_ascii(c) if ascii_only else _cell(c) for c in text)


def _cell(c: str) -> str:
    from rich.cells import cell_len  # what only prints does without Rich

    if " " <= c <= "~":
        return c
    if _has_picture(c):
        return _picture(c)
    hidden = unicodedata.category(c)[0] in "CMZ" or c in INVISIBLE
    return "�" if hidden or cell_len(c) not in (1, 2) else c


def _cell_ascii(c: str) -> str:
    return c if " " <= c <= "~" else ASCII.get(c, "?")


def _spelled(c: str) -> str:
    if is_visible(c):
        return c
    return _picture(c) if _has_picture(c) else c.encode("ascii", "backslashreplace").decode()


def _has_picture(c: str) -> bool:
    """Return whether the character is a C0 control, DEL or an unusual space."""
    return c < " " or c == "\x7f" or c in SPACES


def _picture(c: str) -> str:
    if c in SPACES:
        return " "
    return "␡" if c == "\x7f" else BREAKS.get(c) or chr(0x2400 + ord(c))


def _units(c: str) -> str:
    """Return JSON's escapes of a character: one, or a pair of surrogates."""
    data = c.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at] << 8 | data[at + 1]:04x}" for at in range(0, len(data), 2))
