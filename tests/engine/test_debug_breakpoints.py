"""Conditions to stop at: how they are typed, and in which frames they are fulfilled."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.debug import patterns
from engine.debug.breakpoints import CONDITIONS, FORMS, check_breakpoint, parse_condition
from engine.debug.conditions import Condition
from engine.records import Change, Frame
from engine.sampling.figures import unigram_entropy
from engine.sampling.session import Session
from engine.strategies import make_strategy
from engine.text.characters import Characters
from tests.engine.toys import Toy

PIECES = ("a", " sea", "sea", "sear", "\n", "_")
RUN = Session(Toy(), make_strategy("remdm-cap", eta=0.3), steps=30, length=16, batch=3, seed=4, prompt=[1])
FRAMES = list(RUN)


def stops(text: str, frames: list[Frame] = FRAMES, sample: int | None = None) -> list[int]:
    """The steps at which a run that is always let go on would stop."""
    condition = parse_condition(text, PIECES)
    pairs = zip(frames, [None, *frames], strict=False)
    return [hit.step for frame, before in pairs if (hit := check_breakpoint(1, condition, frame, before, sample))]


def steps_where(test: Callable[[Frame], bool]) -> list[int]:
    return [frame.index + 1 for frame in FRAMES if test(frame)]


def first_of_each_row(steps: list[int]) -> list[int]:
    return [step for step in steps if step - 1 not in steps]


def revealed(frame: Frame) -> list[int]:
    return frame.tokens[frame.change == Change.REVEALED].tolist()


def entropies(frame: Frame) -> np.ndarray:
    return np.array([unigram_entropy(row[~masked]) for row, masked in zip(frame.tokens, frame.masked, strict=True)])


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("remasks 3", lambda f: ((f.change == Change.REMASKED).sum(-1) > 3).any()),
        ("at 7", lambda f: np.isin(f.change[:, 7], [Change.REVEALED, Change.REMASKED]).any()),
        ("token sea", lambda f: {1, 2} & {*revealed(f)}),
        ('token " sea"', lambda f: 1 in revealed(f)),
        ("token /^se.r?$/", lambda f: {2, 3} & {*revealed(f)}),
        ("token /(?i)SEA/", lambda f: {1, 2, 3} & {*revealed(f)}),
        ("confidence .25", lambda f: (f.held[f.change == Change.REVEALED] < 0.25).any()),
        ("remasked > 3", lambda f: ((f.change == Change.REMASKED).sum(-1) > 3).any()),
        ("count(change == REVEALED) == 2", lambda f: ((f.change == Change.REVEALED).sum(-1) == 2).any()),
    ],
)
def test_what_happens_in_a_step_stops_at_every_such_step(text: str, test: Callable[[Frame], bool]) -> None:
    wanted = steps_where(test)
    assert stops(text) == wanted
    assert 0 < len(wanted) < len(FRAMES)


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("step 12", lambda f: f.index == 11),
        ("time .3", lambda f: f.s < 0.3),
        ("masked 5", lambda f: (f.masked.sum(-1) <= 5).any()),
        ("masked <= 5", lambda f: (f.masked.sum(-1) <= 5).any()),
        ("t < .5 and step % 4 == 0", lambda f: f.t < 0.5 and (f.index + 1) % 4 == 0),
    ],
)
def test_what_holds_from_some_step_on_stops_where_it_becomes_true(text: str, test: Callable[[Frame], bool]) -> None:
    wanted = first_of_each_row(steps_where(test))
    # a sample may come to hold it while another already does
    assert {*wanted} <= {*stops(text)}
    assert stops(text)[0] == wanted[0]
    assert len(stops(text)) <= 3 * len(wanted)


def test_a_drop_of_entropy_is_measured_against_the_frame_before() -> None:
    drops = [b.index + 1 for a, b in pairwise(FRAMES) if (entropies(a) - entropies(b) > 0.05).any()]
    assert stops("drop .05") == drops
    assert drops


def test_a_plan_that_was_clamped_stops() -> None:
    frames = list(Session(Toy(), make_strategy("forward-backward"), steps=8, length=60))
    assert stops("clamped", frames) == [8]


def test_a_breakpoint_can_look_at_one_sample_alone() -> None:
    at = [stops("remasks 3", sample=sample) for sample in range(3)]
    assert sorted({*at[0], *at[1], *at[2]}) == stops("remasks 3")
    assert at[0] != at[1]


def test_a_hit_names_the_condition_the_step_the_samples_and_the_positions() -> None:
    frame = next(frame for frame in FRAMES if frame.count(Change.REMASKED, 1) > 3)
    hit = check_breakpoint(5, parse_condition("remasks 3"), frame, None, sample=1)
    assert hit is not None
    assert (hit.breakpoint, hit.text, hit.step, hit.samples) == (5, "remasks 3", frame.index + 1, (1,))
    assert hit.message == "a step remasks more than 3 positions"
    assert hit.positions == tuple(np.flatnonzero(frame.change[1] == Change.REMASKED))


def test_a_condition_that_holds_at_the_first_step_stops_there() -> None:
    assert stops("masked 99")[0] == 1


EXAMPLES = [
    "step 40", "time 0.3", "masked 12", "remasks 8", "at 17", "token sea", 'token " sea"', "token /se[ae]/",
    "confidence 0.1", "clamped", "drop 0.5", "remasked > 8 and t < .3",
]  # fmt: skip


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_condition_is_spelled_as_it_is_typed_and_says_what_it_is(text: str) -> None:
    condition = parse_condition(text, PIECES)
    assert str(condition) == text
    assert parse_condition(str(condition), PIECES) == condition
    assert re.fullmatch(r"\S.{5,}[^.\s]", condition.sentence)


def test_every_kind_of_condition_is_covered_here_and_explained() -> None:
    assert {type(parse_condition(text, PIECES)) for text in EXAMPLES} - {*CONDITIONS} == {
        type(parse_condition("token /a/", PIECES))
    }
    assert {*CONDITIONS} <= {type(parse_condition(text, PIECES)) for text in EXAMPLES}
    for kind in CONDITIONS:
        assert kind.doc
        first = kind.form.split(",")[0]
        assert isinstance(parse_condition(first, PIECES), kind)


def test_a_word_of_a_form_that_is_a_field_can_be_compared_as_well() -> None:
    assert str(parse_condition("masked < 12")) == "masked < 12"
    assert str(parse_condition("step % 10 == 0")) == "step % 10 == 0"
    assert str(parse_condition("confidence < .1")) == "confidence < .1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a breakpoint needs a condition, such as step 40"),
        ("step forty", "step takes a number of steps, as in step 40, not 'forty'"),
        ("step -3", "is a number: compare it with another"),
        ("at", "at takes a position, counted from 0, as in at 17"),
        ("time < .3", "time takes a time from 0 to 1, as in time .3, not '< .3'"),
        ("clamped 3", "clamped takes nothing more"),
        ("token qwx", "no token of the model is spelled qwx"),
        ("token /(a+)+/", "repeats a group"),
        ("token /a(/", "cannot be read"),
        ("masked - 8", "'masked - 8' is a number: compare it with another"),
        ("when it rains", "cannot be read"),
    ],
)
def test_what_is_no_condition_is_refused_with_what_would_be_one(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_condition(text, PIECES)


@given(st.text(max_size=40), st.sampled_from(["", *FORMS]))
def test_any_text_is_a_condition_or_is_refused_in_a_sentence(text: str, word: str) -> None:
    condition: Condition | None = None
    refused = ""
    try:
        condition = parse_condition(f"{word} {text}", PIECES)
    except ValueError as error:
        refused = str(error)
    assert "\n" not in refused
    if condition is not None:
        check_breakpoint(0, condition, FRAMES[3], FRAMES[2])
        assert condition.sentence


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*b", "(?:a*)*", r"(a)\1", "(?P<x>a)(?P=x)", "(?=a)b", "(?x)(a+) +", "a*a*a*a*a*b", "(a?){40}",
     "(a|a)" * 30, "a?" * 30 + "a" * 30, "x" * 201, "[", "(?", "a{2,1}", "*"],
)  # fmt: skip
def test_a_pattern_that_could_take_for_ever_or_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        patterns.safe_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "matches", "not_so"),
    [("^ the?$", " the", "them"), ("[()*+]+", "(", "a"), (r"\d{2,}", "a 123", "1"), ("(sea|sky)s?", "skys", "sk"),
     ("(?:un)?do.*g", "undoing", "un"), (r"\(a\)*", "(a))", "a"), ("[]a]+", "]", "b")],
)  # fmt: skip
def test_ordinary_patterns_are_taken(pattern: str, matches: str, not_so: str) -> None:
    assert patterns.found(patterns.safe_pattern(pattern), matches)
    assert not patterns.found(patterns.safe_pattern(pattern), not_so)


@given(
    st.lists(
        st.sampled_from(["a", ".*", "a*", "a+", "a?", "(a|b)", "(a|a)", "[ab]*", "{1,9}", "a{1,30}", "|"]), max_size=12
    )
)
def test_no_pattern_that_is_taken_takes_long(parts: list[str]) -> None:
    pattern = "".join(parts) + "c"
    try:
        made = patterns.safe_pattern(pattern)
    except ValueError:
        return
    started = time.process_time()
    patterns.found(made, "a" * 1000)
    # of this process alone; one that goes back over what it has read takes hours
    assert time.process_time() - started < 60


def test_a_condition_on_tokens_asks_about_each_spelling_once() -> None:
    frame = replace(FRAMES[0], tokens=np.full((3, 16), 99, np.int32), change=np.full((3, 16), 2, np.uint8))
    assert check_breakpoint(0, parse_condition("token /a/", PIECES), frame, None) is None


@pytest.mark.parametrize("text", ["token 中", 'token "中"', "token /[一-龥]/", "any(token == '中')"])
def test_a_character_of_several_tokens_stops_a_run_once_all_are_there(text: str) -> None:
    data = "中".encode()
    condition = parse_condition(text, ("a", "\ufffd", "\ufffd"), Characters({1: data[:1], 2: data[1:]}, 3))
    part, whole = (
        replace(FRAMES[0], tokens=np.array([tokens], np.int32), change=np.array([change], np.uint8))
        for tokens, change in (
            ((0, 1, 0), (Change.HELD, Change.REVEALED, Change.HELD)),
            ((0, 1, 2), (Change.HELD, Change.HELD, Change.REVEALED)),
        )
    )
    assert not condition.holds(part, None).any()
    assert condition.holds(whole, part).any()
    hit = check_breakpoint(1, condition, whole, part)
    assert hit is not None
    assert hit.positions in ((1,), ())
