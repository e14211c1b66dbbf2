"""What a person types to put on the canvas, as tokens.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.debug.findings import Opinion
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
