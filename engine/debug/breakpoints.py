"""Breakpoints: conditions as they are typed, and at which frames they stop a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.debug import patterns
from engine.debug.conditions import (
    AtPosition,
    AtStep,
    Clamped,
    Condition,
    EntropyDrops,
    Expressed,
    FewMasked,
    ManyRemasked,
    TimeBelow,
    TokenIs,
    TokenMatches,
    Unsure,
)
from engine.debug.expressions import parse_expression as expression
from engine.debug.fields import FIELDS
from engine.debug.findings import Hit
from engine.records import Frame
from engine.text.characters import Characters

SHOWN = 64
"""Samples and positions that a hit names at most."""


def _token(text: str, pieces: tuple[str, ...], characters: Characters | None) -> Condition:
    if len(text) > 2 and text[0] == text[-1] == "/":
        pattern = patterns.safe_pattern(text[1:-1])
        return TokenMatches(text[1:-1], pieces=pieces, characters=characters, pattern=pattern)
    exact = len(text) > 2 and text[0] == text[-1] and text[0] in "\"'"
    made = TokenIs(text[1:-1] if exact else text, exact, pieces, characters)
    split = characters is not None and characters.spell(made.text.strip())
    if pieces and not split and not any(map(made.matches, pieces)):
        raise ValueError(f"no token of the model is spelled {text}: token /{made.text}/ looks for a part of one")
    return made


@dataclass(frozen=True)
class Form:
    """How a condition that starts with a word is read."""

    kind: type[Condition]
    make: Callable[[str, tuple[str, ...], Characters | None], Condition]
    takes: str
    """what comes after the word"""
    argument: re.Pattern[str]


WHOLE, FRACTION, TEXT = re.compile(r"\d{1,9}"), re.compile(r"\d{0,9}\.?\d{1,12}"), re.compile(r"[^<>=!*+%\s-].*")


def _form(kind: type[Condition], takes: str, number: Callable[[str], float] | None, argument: re.Pattern[str]) -> Form:
    def make(text: str, pieces: tuple[str, ...], characters: Characters | None) -> Condition:
        return kind() if number is None else kind(number(text))  # type: ignore[call-arg]

    return Form(kind, make, takes, argument)


FORMS: dict[str, Form] = {
    "step": _form(AtStep, "a number of steps", int, WHOLE),
    "time": _form(TimeBelow, "a time from 0 to 1", float, FRACTION),
    "masked": _form(FewMasked, "a number of positions", int, WHOLE),
    "remasks": _form(ManyRemasked, "a number of positions", int, WHOLE),
    "at": _form(AtPosition, "a position, counted from 0", int, WHOLE),
    "token": Form(TokenIs, _token, "a text, or a pattern between two slashes", TEXT),
    "confidence": _form(Unsure, "a probability", float, FRACTION),
    "clamped": _form(Clamped, "nothing more", None, re.compile("")),
    "drop": _form(EntropyDrops, "a number of nats", float, FRACTION),
}
CONDITIONS: tuple[type[Condition], ...] = (*(form.kind for form in FORMS.values()), Expressed)
"""All kinds, with their `form` and `doc` for a help."""
OPERATORS = tuple("<>=!*+-/%")
"""What may follow a field's name in an expression."""


def parse_condition(text: str, pieces: Sequence[str] = (), characters: Characters | None = None) -> Condition:
    """Return the condition that a person typed; pieces[i] is the text of token i.

    characters: where some tokens hold a part of one.

    Raises ValueError that says what is wrong and what would be valid.
    """
    text = text.strip()
    if not text:
        raise ValueError(f"a breakpoint needs a condition, such as {AtStep.form} or {Expressed.form}")
    word, _, rest = text.partition(" ")
    form, rest = FORMS.get(word), rest.strip()
    if form is not None and form.argument.fullmatch(rest):
        return form.make(rest, tuple(pieces), characters)
    if form is not None and (word not in FIELDS or not rest.startswith(OPERATORS)):
        raise ValueError(f"{word} takes {form.takes}, as in {form.kind.form}, not {rest[:40]!r}")
    read = expression(text, pieces, characters)
    if not read.truth:
        raise ValueError(f"{text!r} is a number: compare it with another, as in {Expressed.form}")
    return Expressed(text, read)


def check_breakpoint(
    number: int, condition: Condition, frame: Frame, before: Frame | None, sample: int | None = None
) -> Hit | None:
    """Return whether breakpoint `number` stops at a frame, in one sample or in any.

    A condition that does not repeat stops where it becomes true: where it did not hold in the frame before.
    """
    holds = condition.holds(frame, before)
    if not condition.repeats and before is not None:
        holds = holds & ~condition.holds(before, None)
    if not holds.any():
        return None
    batch = len(frame.tokens)
    where = np.broadcast_to(holds, (batch, holds.shape[1]))
    rows = [int(row) for row in np.flatnonzero(where.any(-1)) if sample in (None, row)]
    if not rows:
        return None
    positions = np.flatnonzero(where[rows[0]]).tolist() if condition.wide else []
    step = frame.index + 1
    return Hit(number, str(condition), condition.sentence, step, tuple(rows[:SHOWN]), tuple(positions[:SHOWN]))
