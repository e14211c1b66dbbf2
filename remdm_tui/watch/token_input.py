"""Parse the tokens and prompts that a person types.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

import numpy as np

from engine.debug.findings import TokenPrediction
from engine.sampling.trace import Record
from engine.text import infill
from engine.text.characters import Characters
from remdm_tui.console.sanitize import sanitize

NO_FRAGMENTS: Mapping[int, bytes] = MappingProxyType({})
LONGEST = 64
"""The longest text of a token, in characters, that a prompt is encoded with."""


def token_of(
    text: str,
    pieces: Sequence[str],
    prediction: TokenPrediction | None,
    mask: int,
    fragments: Mapping[int, bytes] = NO_FRAGMENTS,
) -> tuple[int, float]:
    """Return the token that `text` names and the probability to record for it.

    #3 is the model's third most probable token, with its own probability.  Other text is matched as it is, else with a
    space in front; a part of a character is written as its bytes.  Raises ValueError if no token matches.
    """
    if text.startswith("#") and text[1:].isdecimal() and prediction is not None:
        number = int(text[1:])
        if not 1 <= number <= len(prediction.top):
            raise ValueError(f"choose #1 to #{len(prediction.top)}, not {text}")
        ranked = prediction.top[number - 1]
        return ranked.token, max(ranked.probability, 1e-9)
    if not text:
        raise ValueError("type a token")
    exact = len(text) > 2 and text[0] == text[-1] == '"'
    for spelling in (text[1:-1],) if exact else (text, f" {text}"):
        matches = (token for token, piece in enumerate(pieces) if piece == spelling)
        found = next((token for token in matches if token != mask and token not in fragments), None)
        if found is not None:
            return found, 1.0
    characters = Characters(fragments, len(pieces))
    part = characters.token(text)
    if part is not None:
        return part, 1.0
    if parts := characters.spell(text):
        names = ", ".join(map(characters.name, parts))
        raise ValueError(f"{text!r} is {len(parts)} tokens: set {names} at neighbouring positions")
    raise ValueError(f"The tokenizer has no token {text!r}")


def prompt_length(record: Record, position: int, sample: int) -> int:
    """Return the number of tokens and masks of the prompt at a position: the last edit's, else the run's."""
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
    """Return a prompt as it is typed: locked tokens as text, the others as masks."""
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
    """Return a typed prompt as tokens and masks.  Raises ValueError if the tokenizer cannot encode it."""
    parts = infill.parts(text, pieces[mask] if mask < len(pieces) else "", infill.tokens_carry_space(pieces))
    tokens = [(mask,) * part if isinstance(part, int) else spell(part, pieces, mask, fragments) for part in parts]
    return tuple(token for part in tokens for token in part)


def spell(
    text: str, pieces: Sequence[str], mask: int, fragments: Mapping[int, bytes] = NO_FRAGMENTS
) -> tuple[int, ...]:
    """Return a text as tokens, the longest match each time; a character without a token as its parts.

    Raises ValueError if the tokenizer cannot encode it.
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
            raise ValueError(f"The tokenizer cannot encode {sanitize(text[at : at + 8], cells=True)!r}")
        tokens.append(by_text[text[at : at + size]])
        at += size
    return tuple(tokens)
