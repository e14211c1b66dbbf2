"""What a person types to put on the canvas, as tokens.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

import numpy as np

from engine.debug.findings import Prediction
from engine.sampling.trace import Record
from engine.text import infill
from engine.text.characters import Characters
from remdm_tui.console.sanitize import sanitize

NO_FRAGMENTS: Mapping[int, bytes] = MappingProxyType({})
LONGEST = 64
"""Characters of a token's text at most for a prompt to be spelled with it."""


def token_of(
    text: str,
    pieces: Sequence[str],
    opinion: Prediction | None,
    mask: int,
    fragments: Mapping[int, bytes] = NO_FRAGMENTS,
) -> tuple[int, float]:
    """The token that is meant, and the probability that it counts as having: #3 is the network's third, at its own.

    A text is taken as it is where a token is spelled so, else with a space in front; a part of a character is
    written as its bytes.  Raises ValueError for none.
    """
    if text.startswith("#") and text[1:].isdecimal() and opinion is not None:
        number = int(text[1:])
        if not 1 <= number <= len(opinion.top):
            raise ValueError(f"the network's tokens are #1 to #{len(opinion.top)}, not {text}")
        ranked = opinion.top[number - 1]
        return ranked.token, max(ranked.probability, 1e-9)
    if not text:
        raise ValueError("type the token that is to stand there")
    exact = len(text) > 2 and text[0] == text[-1] == '"'
    for spelling in (text[1:-1],) if exact else (text, f" {text}"):
        alike = (token for token, piece in enumerate(pieces) if piece == spelling)
        found = next((token for token in alike if token != mask and token not in fragments), None)
        if found is not None:
            return found, 1.0
    characters = Characters(fragments, len(pieces))
    part = characters.token(text)
    if part is not None:
        return part, 1.0
    if parts := characters.spell(text):
        names = ", ".join(map(characters.name, parts))
        raise ValueError(f"{text!r} is {len(parts)} tokens of the model: put {names} at neighbouring positions")
    raise ValueError(f"no token of the model is spelled {text!r}")


def prompt_length(record: Record, position: int, sample: int) -> int:
    """How many tokens and masks the prompt has at a position: the last by hand, else the run's."""
    for at in reversed(record.edits()):
        frame = record.frame(at) if at <= position else None
        edit = None if frame is None else frame.edit
        if edit is not None and edit.kind == "prompt" and edit.sample in (None, sample):
            return len(edit.tokens)
    return int(np.flatnonzero(record.start.locked[sample]).max(initial=-1)) + 1


def prompt_text(
    tokens: Sequence[int],
    locked: Sequence[bool],
    pieces: Sequence[str],
    fragments: Mapping[int, bytes] = NO_FRAGMENTS,
) -> str:
    """A prompt as it is typed: what is locked as text, the rest as masks."""
    space = " " * infill.tokens_carry_space(pieces)
    characters = Characters(fragments, len(pieces))
    text, at = "", 0
    for stays, group in groupby(locked):
        size = len(list(group))
        if stays:
            text += "".join(characters.texts(np.array(tokens[at : at + size]), pieces))
        else:
            text += f"{space * bool(text)}{{mask{f'*{size}' * (size > 1)}}}"
        at += size
    return text


def prompt_tokens(
    text: str, pieces: Sequence[str], mask: int, fragments: Mapping[int, bytes] = NO_FRAGMENTS
) -> tuple[int, ...]:
    """A prompt that a person typed, as tokens and masks.  Raises ValueError for a text that cannot be spelled."""
    parts = infill.parts(text, pieces[mask] if mask < len(pieces) else "", infill.tokens_carry_space(pieces))
    tokens = [(mask,) * part if isinstance(part, int) else spell(part, pieces, mask, fragments) for part in parts]
    return tuple(token for part in tokens for token in part)


def spell(
    text: str, pieces: Sequence[str], mask: int, fragments: Mapping[int, bytes] = NO_FRAGMENTS
) -> tuple[int, ...]:
    """A text as tokens, the longest that fits each time; a character that no token begins by those of its parts.

    Raises ValueError where none fit.
    """
    whole = [(piece, i) for i, piece in enumerate(pieces) if piece and i != mask and i not in fragments]
    by_text, characters = dict(reversed(whole)), Characters(fragments, len(pieces))
    longest = min(LONGEST, max(map(len, by_text), default=0))
    tokens: list[int] = []
    at = 0
    while at < len(text):
        size = next((n for n in range(min(longest, len(text) - at), 0, -1) if text[at : at + n] in by_text), 0)
        if not size and (split := characters.spell(text[at])):
            tokens += split
            at += 1
            continue
        if not size:
            raise ValueError(f"no token of the model begins {sanitize(text[at : at + 8], cells=True)!r}")
        tokens.append(by_text[text[at : at + size]])
        at += size
    return tuple(tokens)
