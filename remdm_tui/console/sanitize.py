"""Text of strangers, made safe to print: no character of it can act on a terminal or hide.  Pure, standard library."""

from __future__ import annotations

INVISIBLE = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))
"""Characters that Python calls printable and that take no room on a screen."""


def sanitize(text: str) -> str:
    """Return the text with every control, bidi, zero-width and unassigned character spelled out; lines and tabs stay.

    ESC and the other C0 controls become their pictures (U+241B), the rest an escape as Python writes it.
    """
    return _spelled(text, "\n\t")


def sanitize_line(text: str) -> str:
    """Return the same in one line: a line break becomes an arrow, so that no text can pretend to be another line."""
    return _spelled(text, "").replace("␊", "↵").replace("␉", "→")


def escape_json(text: str) -> str:
    r"""Return the same JSON with `\uXXXX` for what `sanitize` changes: it reads back as the very same data."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or is_harmless(c) else _units(c) for c in text)


def is_harmless(character: str) -> bool:
    """Whether the character shows as itself and does nothing else."""
    return character.isprintable() and character not in INVISIBLE


def _spelled(text: str, kept: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in kept or is_harmless(c) else _visible(c) for c in text)


def _visible(c: str) -> str:
    if c < " ":
        return chr(0x2400 + ord(c))
    if c == "\x7f":
        return "␡"
    if c in "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000":
        return " "
    return c.encode("ascii", "backslashreplace").decode()


def _units(c: str) -> str:
    """Return JSON's escapes of a character: one, or a pair of surrogates."""
    data = c.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at] << 8 | data[at + 1]:04x}" for at in range(0, len(data), 2))
