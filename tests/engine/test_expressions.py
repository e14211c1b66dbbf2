"""Conditions over a frame's fields: what they mean, and what is refused."""

from __future__ import annotations

import ast
import builtins
import re
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.debug.expressions import LONGEST, parse_expression
from engine.debug.fields import CONSTANTS, FIELDS
from engine.records import Change, Frame
from engine.sampling.figures import FIGURES, figures
from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.toys import Toy

PIECES = ("a", " the", "the", "sea", "\n", "_")
FRAMES = [
    frame
    for strategy in (make_strategy("remdm-cap", eta=0.3), make_strategy("llada21-edit", editing_threshold=0.0))
    for frame in Session(Toy(), strategy, steps=12, length=9, batch=3, seed=1, prompt=[1])
]
assert any(frame.count(Change.EDITED) for frame in FRAMES)


def reads(text: str, frame: Frame) -> list[Any]:
    return parse_expression(text, PIECES).values(frame).tolist()


def by_hand(frame: Frame, sample: int) -> dict[str, Any]:
    """Every field of one sample, as plain Python numbers and lists."""
    known = figures(frame, sample)
    # a figure that is added to the registry is compared with what the registry computes
    registered = {name: known.values[name] for name in FIGURES}
    rows = {name: getattr(frame, name)[sample].tolist() for name in ("tokens", "held", "change", "unmask", "remask")}
    return {
        **registered,
        "step": frame.index + 1, "t": frame.t, "s": frame.s, "alpha": frame.alpha_s, "calls": frame.network_calls,
        "excess": frame.excess, "block": frame.block, "final": frame.final, "masked": known.masked,
        "revealed": known.revealed, "remasked": known.remasked, "sigma": known.sigma, "entropy": known.entropy,
        "confidence": known.confidence,
        "edited": rows["change"].count(Change.EDITED),
        "edit": [0.0] * 9 if frame.edit_plan is None else frame.edit_plan[sample].tolist(),
        "token": rows.pop("tokens"), "position": list(range(9)), **rows,
    }  # fmt: skip


def test_every_field_is_what_the_frame_says() -> None:
    for frame in FRAMES:
        for sample in range(3):
            hand = by_hand(frame, sample)
            assert set(hand) == set(FIELDS)
            for name, value in hand.items():
                if FIELDS[name].wide:
                    there = [x for x in value if x == x]
                    got = [reads(f"{reduce}({name})", frame)[sample] for reduce in ("min", "max", "sum")]
                    wanted = [min(there, default=np.nan), max(there, default=np.nan), sum(there)]
                    np.testing.assert_allclose(got, wanted, equal_nan=True)
                elif FIELDS[name].truth:
                    assert reads(name, frame)[sample] == value
                else:
                    np.testing.assert_allclose(reads(name, frame)[sample], value, equal_nan=True)


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("remasked > 0 and t < .6", "remasked > 0 and t < .6"),
        ("any(held < .3)", "any(h < .3 for h in held)"),
        ("all(held >= .1)", "all(h >= .1 for h in held)"),
        ("count(change == REMASKED) >= 1", "sum(c == 3 for c in change) >= 1"),
        ("any(token == ' the')", "any(x == 1 for x in token)"),
        ("count(token != 'sea') > 4", "sum(x != 3 for x in token) > 4"),
        (".2 < t <= .7", ".2 < t <= .7"),
        ("not (masked > 3 or revealed == 0)", "not (masked > 3 or revealed == 0)"),
        ("any(held < .5 and position > 4 and change == HELD)",
         "any(h < .5 and p > 4 and c == 1 for h, p, c in zip(held, position, change))"),
        ("masked * 2 - remasked % 3 > step // 2", "masked * 2 - remasked % 3 > step // 2"),
        ("(masked + 1) ** 2 / 4 < 9", "(masked + 1) ** 2 / 4 < 9"),
        ("-masked < +revealed - 4", "-masked < +revealed - 4"),
        ("mean(position) == 4", "sum(position) / 9 == 4"),
        ("final or masked == 0", "final or masked == 0"),
        ("True and not False", "True"),
    ],
)  # fmt: skip
def test_an_expression_means_what_python_says_position_by_position(text: str, python: str) -> None:
    for frame in FRAMES:
        for sample, got in enumerate(reads(text, frame)):
            assert got == eval(python, {}, by_hand(frame, sample))


def test_a_missing_number_compares_with_nothing() -> None:
    masked = FRAMES[0].count(Change.MASKED, 0)
    assert masked > 0
    for relation in ("<", ">", "==", "!="):
        assert reads(f"count(held {relation} 2) <= {9 - masked}", FRAMES[0])[0]


def test_division_by_nothing_is_no_error() -> None:
    assert reads("1 / (masked - masked) > 1", FRAMES[0]) == [True] * 3
    assert reads("0 / (masked - masked) > 1", FRAMES[0]) == [False] * 3


def test_an_expression_knows_whether_it_tells_of_single_steps() -> None:
    assert parse_expression("remasked > 8 and t < .3").event
    assert not parse_expression("masked < 8 and t < .3").event
    assert parse_expression("masked < 8 and t < .3").names == {"masked", "t"}
    assert parse_expression("masked < 8").truth
    assert not parse_expression("masked - 8").truth


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("t.real < 1", "'t.real' is not understood"),
        ("().__class__", "not understood"),
        ("__import__('os').system('id')", "cannot be called: the functions are any, all, count"),
        ("open('x') > 1", "'open' cannot be called"),
        ("eval('1') > 1", "'eval' cannot be called"),
        ("any(held < .1, t)", "any takes one thing"),
        ("any(*held)", "any takes one thing"),
        ("count(x=held)", "count takes one thing"),
        ("any(held < .1 for held in token)", "not understood"),
        ("[1, 2] == token", "'[1, 2]' is not understood"),
        ("(lambda: 1)() > 0", "'lambda: 1' cannot be called"),
        ("held[3] < .1", "'held[3]' is not understood"),
        ("9**9**9 > t", "the power in '9**9**9' must be a number from 0 to 16"),
        ("t ** 17 > 1", "must be a number from 0 to 16"),
        ("t ** step > 1", "must be a number from 0 to 16"),
        ("t > " + "9" * 300, "is too large: numbers go up to 1e+15"),
        ("t > 1e300", "is too large"),
        ("t > 1j", "is neither a number nor text"),
        ("t > None", "is neither a number nor text"),
        ("'a' * 9 == token", "is text where a number is needed"),
        ("'abc'", "'abc' is not a condition: write token == 'abc'"),
        ("any(token == 'qwx')", "no token is spelled 'qwx'"),
        ("any(held == 'the')", "can only be compared with token"),
        ("held < .1", "put it into any"),
        ("any(t < .1)", "'t < .1' is the same at every position"),
        ("any(held)", "'held' is not a condition"),
        ("sum(held < 1) > 2", "'held < 1' is true or false where a number is needed"),
        ("temperature < 1", "unknown name 'temperature': the names are step, t, s, alpha, "),
        ("any", "any is a function: write any(...)"),
        ("t < (s < 1)", "'s < 1' is true or false"),
        ("t in (1, 2)", "the comparison in"),
        ("t is 1", "the comparison in"),
        ("~t > 1", "the operator of '~t'"),
        ("t << 3 > 1", "the operator of 't << 3'"),
        ("t @ s > 1", "the operator of 't @ s'"),
        ("t if s else 3", "not understood"),
        ("(t := 3) > 1", "not understood"),
        ("f'{t}' == token", "not understood"),
        ("t <", "cannot be read"),
        ("import os", "cannot be read"),
        ("", "cannot be read"),
        ("t\0 < 1", "cannot be read"),
        ("(" * 300 + "t" + ")" * 90, "cannot be read"),
        ("not " * 60 + "final", "nested more than"),
        ("-" * 200 + "t > 1", "nested more than"),
        ("t + " * 90 + "t > 1", "nested more than"),
        ("t > 1 and " * 60, f"at most {LONGEST} characters"),
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused_with_the_part_and_what_is_valid(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        parse_expression(text, PIECES)
    assert "\n" not in str(refused.value)


NAMES = st.sampled_from([*FIELDS, *CONSTANTS, "os", "__builtins__", "any", "count", "exec", *dir(builtins)[:60]])
ATOMS = st.one_of(
    NAMES,
    st.integers(-(10**18), 10**18).map(str),
    st.floats().map(str),
    st.text(string.printable, max_size=5).map(repr),
)
WORDS = st.sampled_from(
    [*"+-*/%<>()[]{}.,:", "//", "**", "<=", ">=", "==", "!=", "and", "or", "not", "is", "in", ":=", "lambda", "if",
     "else", "for", "any(", "all(", "count(", "min(", "held", "token", "change", "t"]
)  # fmt: skip


@given(st.lists(st.one_of(ATOMS, WORDS), max_size=14).map(" ".join))
def test_any_row_of_words_is_read_or_refused_in_a_sentence(text: str) -> None:
    only_answers_or_refuses(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    only_answers_or_refuses(text)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(["+", "-", "*", "/", "%", "**", "<", "==", "and", "or"])
    return st.one_of(
        st.tuples(inner, binary, inner).map(lambda x: f"({x[0]} {x[1]} {x[2]})"),
        st.tuples(st.sampled_from(["any", "count", "mean", "min", "not ", "-"]), inner).map(
            lambda x: f"{x[0]}({x[1]})"
        ),
    )


@given(
    st.recursive(st.one_of(st.sampled_from([*FIELDS]), st.sampled_from(["1", ".3", "0", "2e9"])), grown, max_leaves=9)
)
def test_whatever_is_accepted_has_a_value_for_each_sample(text: str) -> None:
    only_answers_or_refuses(text)


def only_answers_or_refuses(text: str) -> None:
    refused = ""
    try:
        read = parse_expression(text, PIECES)
    except ValueError as error:
        refused = str(error)
    if refused:
        assert "\n" not in refused
        return
    tree = ast.parse(text.strip(), mode="eval")
    assert not any(
        isinstance(node, ast.Attribute | ast.Subscript | ast.Lambda | ast.comprehension) for node in ast.walk(tree)
    )
    for frame in (FRAMES[0], FRAMES[-1]):
        values = read.values(frame)
        assert values.shape == (3,)
        assert values.dtype == (np.bool_ if read.truth else np.float64)
