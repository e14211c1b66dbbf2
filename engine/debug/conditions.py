"""The kinds of conditions to stop at: what each means, and whether a frame fulfils it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.debug import patterns
from engine.debug.expressions import Expression
from engine.records import PUT, Change, Frame
from engine.sampling.figures import unigram_entropy
from engine.text.characters import Characters
from engine.text.counts import counted

Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Condition:
    """One kind of condition; `str` returns the text that is typed, `sentence` what it means."""

    form: ClassVar[str]
    """how it is typed"""
    doc: ClassVar[str]
    event: ClassVar[bool] = False
    """whether it stops at every step that fulfils it; else at the first of several in a row"""
    wide: ClassVar[bool] = False
    """whether it names positions"""

    @property
    def sentence(self) -> str:
        raise TypeError(f"{type(self).__name__} has no sentence")

    @property
    def repeats(self) -> bool:
        return self.event

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        """Return bool [B, 1], or [B, L] of a condition on positions; `before` is the frame before it."""
        raise TypeError(f"{type(self).__name__} never holds")


@dataclass(frozen=True)
class AtStep(Condition):
    step: int
    form = "step 40"
    doc = "this number of steps is taken"

    def __str__(self) -> str:
        return f"step {self.step}"

    @property
    def sentence(self) -> str:
        return counted(self.step, "step is taken", "steps are taken")

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        return np.full((1, 1), frame.index + 1 == self.step)


@dataclass(frozen=True)
class TimeBelow(Condition):
    t: float
    form = "time .3"
    doc = "t has fallen below a value"

    def __str__(self) -> str:
        return f"time {self.t:g}"

    @property
    def sentence(self) -> str:
        return f"t has fallen below {self.t:g}"

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        # in blocks each block starts at t = 1
        return np.full((1, 1), frame.s < self.t)


@dataclass(frozen=True)
class FewMasked(Condition):
    count: int
    form = "masked 12"
    doc = "no more than this number of positions is masked"

    def __str__(self) -> str:
        return f"masked {self.count}"

    @property
    def sentence(self) -> str:
        return f"at most {counted(self.count, 'position is masked', 'positions are masked')}"

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        return frame.masked.sum(-1, keepdims=True) <= self.count


@dataclass(frozen=True)
class ManyRemasked(Condition):
    count: int
    form = "remasks 8"
    doc = "a step remasks more than this number of positions"
    event = wide = True

    def __str__(self) -> str:
        return f"remasks {self.count}"

    @property
    def sentence(self) -> str:
        return f"a step remasks more than {counted(self.count, 'position')}"

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        remasked = frame.change == Change.REMASKED
        return remasked & (remasked.sum(-1, keepdims=True) > self.count)


@dataclass(frozen=True)
class AtPosition(Condition):
    position: int
    form = "at 17"
    doc = "a position, counted from 0, changes"
    event = wide = True

    def __str__(self) -> str:
        return f"at {self.position}"

    @property
    def sentence(self) -> str:
        return f"position {self.position} changes"

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        changed = np.isin(frame.change, (*PUT, Change.REMASKED))
        return changed & (np.arange(changed.shape[1]) == self.position)


@dataclass(frozen=True)
class TokenIs(Condition):
    """`text` matches a token's whole piece: exactly in quotes, else without surrounding spaces."""

    text: str
    exact: bool = False
    pieces: tuple[str, ...] = field(default=(), repr=False, compare=False)
    characters: Characters | None = field(default=None, repr=False, compare=False)
    form = 'token sea, token " sea" or token /se[ae]/'
    doc = "a token with this text, or matching a pattern, is revealed or set by an edit"
    event = wide = True

    def __str__(self) -> str:
        return f'token "{self.text}"' if self.exact else f"token {self.text}"

    @property
    def sentence(self) -> str:
        return f"a token {self.text!r} is revealed"

    def matches(self, piece: str) -> bool:
        return piece == self.text if self.exact else piece.strip() == self.text

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        revealed = np.isin(frame.change, PUT)
        there = {int(token) for token in np.unique(frame.tokens[revealed])}
        ids = [i for i in there if i < len(self.pieces) and self.matches(self.pieces[i])]
        found = revealed & np.isin(frame.tokens, ids)
        if self.characters is not None:
            # a character of several tokens is revealed, at the first of them, with any of them
            found &= ~self.characters.partial[frame.tokens]
            for row, tokens in enumerate(frame.tokens):
                spans = self.characters.spans(tokens)
                whole = [a for a, b, text in spans if revealed[row, a:b].any() and self.matches(text)]
                found[row, whole] = True
        return found


@dataclass(frozen=True)
class TokenMatches(TokenIs):
    """`text` is a pattern that occurs in a token's piece."""

    pattern: re.Pattern[str] = field(default=re.compile(""), repr=False, compare=False)

    def __str__(self) -> str:
        return f"token /{self.text}/"

    @property
    def sentence(self) -> str:
        return f"a token that matches /{self.text}/ is revealed"

    def matches(self, piece: str) -> bool:
        return patterns.found(self.pattern, piece)


@dataclass(frozen=True)
class Unsure(Condition):
    probability: float
    form = "confidence .1"
    doc = "a token is drawn with a probability (after temperature and nucleus) below a value"
    event = wide = True

    def __str__(self) -> str:
        return f"confidence {self.probability:g}"

    @property
    def sentence(self) -> str:
        return f"a token is revealed with a probability below {self.probability:g}"

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        return np.isin(frame.change, PUT) & (frame.held < self.probability)


@dataclass(frozen=True)
class Clamped(Condition):
    form = "clamped"
    doc = "the plan was out of [0, 1] and was clamped"
    event = True

    def __str__(self) -> str:
        return "clamped"

    @property
    def sentence(self) -> str:
        return "the plan was out of [0, 1] and was clamped"

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        return np.full((1, 1), frame.excess > 0)


@dataclass(frozen=True)
class EntropyDrops(Condition):
    by: float
    form = "drop .5"
    doc = "the entropy of the revealed tokens falls by more than this number of nats in a step"
    event = True

    def __str__(self) -> str:
        return f"drop {self.by:g}"

    @property
    def sentence(self) -> str:
        return f"the entropy falls by more than {self.by:g} nats in a step"

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        if before is None or before.tokens.shape != frame.tokens.shape:
            return np.zeros((1, 1), bool)
        was, now = (
            np.array([[unigram_entropy(row[~masked])] for row, masked in zip(f.tokens, f.masked)])
            for f in (before, frame)
        )
        return was - now > self.by


@dataclass(frozen=True)
class Expressed(Condition):
    text: str
    expression: Expression = field(repr=False, compare=False)
    form = "remasked > 8 and t < .3"
    doc = "any condition on the fields of a frame"

    def __str__(self) -> str:
        return self.text

    @property
    def sentence(self) -> str:
        return f"{self.text} is true"

    @property
    def repeats(self) -> bool:
        return self.expression.event

    def holds(self, frame: Frame, before: Frame | None) -> Truth:
        return self.expression.values(frame)[:, None]
