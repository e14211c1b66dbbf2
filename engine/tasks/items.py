"""Items of tasks by their content, and the lines that are kept of their answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import msgspec


@dataclass(frozen=True)
class Item:
    """One question to the model.  Its content decides its key and its random numbers, and nothing else does."""

    kind: Literal["generate", "continue", "score"]
    """generate an answer; how likely is `text` behind `context`; how likely is `text`"""
    context: str = ""
    text: str = ""
    special: bool = False
    """whether special tokens are read out of the context: a chat template has put them there"""
    repeat: int = 0
    """which of several answers to the same question"""
    until: tuple[str, ...] = ()
    """sequences before which an answer ends"""

    @cached_property
    def key(self) -> str:
        """Return 16 hexadecimal digits that name the item."""
        content = json.dumps([self.kind, self.context, self.text, self.special, self.repeat, *self.until])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def number(self) -> int:
        """Return the sample number under which its random numbers are drawn, of 63 bits."""
        return int(self.key, 16) >> 1


class AnswerLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one item."""

    key: str
    text: str = ""
    """what was generated, up to the first token that ends a text; stop sequences are cut off where it is used"""
    ids: tuple[int, ...] = ()
    """all that was generated; no more than a part of it where the rest could not change the answer"""
    network_calls: int = 0
    tokens: int = 0
    """generated before the end, or scored"""
    ends: float = 0.0
    """share of `ids` that end a text"""
    entropy: float = 0.0
    """of `ids`, nats"""
    log_likelihood: float = 0.0
    is_greedy: bool = False
    right: tuple[tuple[int, int], ...] | None = None
    """the steps, from the first up to but without the second, after which the answer was right; None if unknown"""
    steps: int = 0
    """steps that were taken, each with a state of its own"""
    broken: int = 0
    """positions that were right after a step and are wrong at the end, where the truth of each is known"""
    problem: str = ""
    """why there is no answer"""
    cut: int = 0
    """tokens of the context that were left out at its beginning, for the model's length"""
    seed: int | None = None
    """None: of an earlier version"""

    @property
    def ever_right(self) -> bool | None:
        """Return whether the answer was right after any step; None if unknown."""
        return None if self.right is None else bool(self.right)


def until_stop(text: str, stops: Sequence[str]) -> str:
    """Return a text up to the first of any stop sequences."""
    found = [text.find(stop) for stop in stops if stop]
    return text[: min((at for at in found if at >= 0), default=len(text))]
