"""What a person types to put on the canvas, as tokens.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from engine import infill
from engine.debug.findings import Opinion
from engine.trace import Record
from remdm_tui.layout import harmless

LONGEST = 64
"""Characters of a token's text at most for a prompt to be spelled with it."""


def token_of(text: str, pieces: Sequence[str], opinion: Opinion | None, mask: int) -> tuple[int, float]:
    """The token that is meant, and the probability that it counts as having: #3 is the network's third, at its own.

    A text is taken as it is where a token is spelled so, else with a space in front.  Raises ValueError for none.
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
        found = next((token for token, piece in enumerate(pieces) if piece == spelling and token != mask), None)
        if found is not None:
            return found, 1.0
    raise ValueError(f"no token of the model is spelled {text!r}")


def prompt_length(record: Record, position: int, sample: int) -> int:
    """How many tokens and masks the prompt has at a position: the last by hand, else the run's."""
    for at in reversed(record.edits()):
        frame = record.frame(at) if at <= position else None
        edit = None if frame is None else frame.edit
        if edit is not None and edit.kind == "prompt" and edit.sample in (None, sample):
            return len(edit.tokens)
    return int(np.flatnonzero(record.start.locked[sample]).max(initial=-1)) + 1


def prompt_text(tokens: Sequence[int], locked: Sequence[bool], pieces: Sequence[str]) -> str:
    """A prompt as it is typed: what is locked as text, the rest as masks."""
    space = " " * infill.bring_space(pieces)
    text, at = "", 0
    for stays, group in groupby(locked):
        size = len(list(group))
        if stays:
            text += "".join(pieces[token] for token in tokens[at : at + size])
        else:
            text += f"{space * bool(text)}{{mask{f'*{size}' * (size > 1)}}}"
        at += size
    return text


def prompt_tokens(text: str, pieces: Sequence[str], mask: int) -> tuple[int, ...]:
    """A prompt that a person typed, as tokens and masks.  Raises ValueError for a text that cannot be spelled."""
    parts = infill.parts(text, pieces[mask] if mask < len(pieces) else "", infill.bring_space(pieces))
    tokens = [(mask,) * part if isinstance(part, int) else spelled(part, pieces, mask) for part in parts]
    return tuple(token for part in tokens for token in part)


def spelled(text: str, pieces: Sequence[str], mask: int) -> tuple[int, ...]:
    """A text as tokens, the longest that fits each time.  Raises ValueError where none does."""
    by_text = {piece: token for token, piece in reversed(list(enumerate(pieces))) if piece and token != mask}
    longest = min(LONGEST, max(map(len, by_text), default=0))
    tokens: list[int] = []
    at = 0
    while at < len(text):
        size = next((n for n in range(min(longest, len(text) - at), 0, -1) if text[at : at + n] in by_text), 0)
        if not size:
            raise ValueError(f"no token of the model begins {harmless(text[at : at + 8])!r}")
        tokens.append(by_text[text[at : at + size]])
        at += size
    return tuple(tokens)
