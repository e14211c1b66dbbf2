"""How a tokenizer spells its tokens: which text a name means in its vocabulary."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any, NamedTuple

from engine.text.infill import NAMED

Spell = Callable[[str], str]
BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _byte_alphabet() -> dict[str, int]:
    """Map GPT-2's printable stand-ins for the 256 bytes, as character to byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


BYTES = _byte_alphabet()


class Spelling(NamedTuple):
    """The text of a token by its name, and whether the tokenizer puts words together with spaces between them."""

    spell: Spell
    spaced: bool
    raw: Callable[[str], bytes | None] = lambda name: None
    """the bytes of a token by its name, where it is spelled by bytes"""


def spelling(described: dict[str, Any]) -> Spelling:
    """Return the spelling of a tokenizer.json, by its decoder, else by what its pre-tokenizer or model would undo."""
    parts = _parts(described.get("decoder")) or _parts(described.get("pre_tokenizer"))
    known = [RULES[part["type"]](part) for part in parts if part.get("type") in RULES]
    spaced = any(part.get("type") == "WordPiece" for part in parts)
    if not known:
        model = described.get("model") or {}
        known, spaced = [_pieces(model.get("continuing_subword_prefix"), model.get("end_of_word_suffix"))], True
    kinds = {part.get("type") for part in parts}

    def raw(name: str) -> bytes | None:
        byte = BYTE.fullmatch(name) if "ByteFallback" in kinds else None
        if byte:
            return bytes.fromhex(byte[1])
        return bytes(BYTES[c] for c in name) if "ByteLevel" in kinds and all(c in BYTES for c in name) else None

    return Spelling(lambda name: reduce(lambda text, rule: rule(text), known, name), spaced, raw)


def are_letters(names: Iterable[str]) -> bool:
    """Return whether a vocabulary is an alphabet, as of residues: single letters and named tokens alone."""
    return all(len(name) == 1 or NAMED.fullmatch(name) for name in names)


def _parts(described: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the steps of a decoder or pre-tokenizer, sequences opened."""
    if not described:
        return []
    inside = described.get("decoders") or described.get("pretokenizers")
    return [described] if inside is None else [step for part in inside for step in _parts(part)]


def _bytes(part: dict[str, Any]) -> Spell:
    def spell(name: str) -> str:
        if not all(c in BYTES for c in name):
            return name
        return bytes(BYTES[c] for c in name).decode("utf-8", errors="replace")

    return spell


def _pieces(prefix: str | None, suffix: str | None) -> Spell:
    """Return a word's later pieces by a prefix, as WordPiece has it, or its last piece by a suffix; else whole
    words.
    """

    def spell(name: str) -> str:
        if suffix:
            return f"{name.removesuffix(suffix)} " if name.endswith(suffix) else name
        return name[len(prefix) :] if prefix and name.startswith(prefix) and name != prefix else f" {name}"

    return spell


def _replaced(part: dict[str, Any]) -> Spell:
    found = (part.get("pattern") or {}).get("String")
    return lambda name: name.replace(found, part.get("content", "")) if found else name


def _byte_fallback(part: dict[str, Any]) -> Spell:
    def spell(name: str) -> str:
        byte = BYTE.fullmatch(name)
        return bytes.fromhex(byte[1]).decode("utf-8", errors="replace") if byte else name

    return spell


RULES: dict[str, Callable[[dict[str, Any]], Spell]] = {
    "ByteLevel": _bytes,
    "WordPiece": lambda part: _pieces(part.get("prefix", "##"), None),
    "BPEDecoder": lambda part: _pieces(None, part.get("suffix", "</w>")),
    "Metaspace": lambda part: lambda name: name.replace(part.get("replacement", "▁"), " "),
    "Replace": _replaced,
    "ByteFallback": _byte_fallback,
}
"""What the parts of a decoder do to one token, by the type they have in a tokenizer.json."""
