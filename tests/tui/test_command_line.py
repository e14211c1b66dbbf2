"""The command line: what is typed, what it becomes, and the errors for the rest."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from engine import strategies
from engine.records import Settings
from engine.strategies import make_strategy, values
from remdm_tui.watch.command_line import (
    VERBS,
    AddBreakpoint,
    Export,
    GoToStep,
    Keep,
    QuitSession,
    SetKnob,
    Vocabulary,
    complete,
    describe_line,
    parse_command,
)

KNOWN = Vocabulary(
    Settings("remdm-cap", values(make_strategy("remdm-cap"))), strategies.catalogue(), recorded=164,
    endings=("html", "png", "svg"), stem="run-3",
)  # fmt: skip
LOOP = replace(KNOWN, settings=Settings("remdm-loop", values(make_strategy("remdm-loop"))))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("40", GoToStep(40)), (" :0 ", GoToStep(0)), (":164", GoToStep(164)),
        ("eta .1", SetKnob("eta", 0.1)), (":eta=.1", SetKnob("eta", 0.1)), ("eta = .1", SetKnob("eta", 0.1)),
        ("top_p 1", SetKnob("top_p", 1.0)), ("nucleus inclusive", SetKnob("nucleus", "inclusive")),
        ("strategy remdm-loop", SetKnob("strategy", "remdm-loop")),
        ("break remasked > 4", AddBreakpoint("remasked > 4")), ("break x == 1", AddBreakpoint("x == 1")),
        ("w run", Keep("run.remdm")), ("w v1.2/run", Keep("v1.2/run.remdm")),
        ("w run.remdm", Keep("run.remdm")), ("w my runs/a b.remdm", Keep("my runs/a b.remdm")),
        ("export run.html", Export("run.html")), ("export ~/x.SVG", Export("~/x.SVG")), ("q", QuitSession()),
    ],
)  # fmt: skip
def test_a_text_becomes_a_command(text, command):
    assert parse_command(text, KNOWN) == command


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Type a step, a knob with a value, or a command: break, w, export, q"),
        (":", "Type a step, a knob with a value, or a command: break, w, export, q"),
        ("165", "Step 165 is not recorded: 0 to 164 are recorded"),
        ("9" * 5000, "Step 999999999999 is not recorded: 0 to 164 are recorded"),
        ("-3", "A step is one whole number: 0 to 164 are recorded, not '-3'"),
        ("4.5", "A step is one whole number: 0 to 164 are recorded, not '4.5'"),
        ("4 5", "A step is one whole number: 0 to 164 are recorded, not '4 5'"),
        ("eta", f"eta is {KNOWN.knobs['eta'][1]:.4g}. Type a value behind it: 0 to 1"),
        ("eta 2", "eta must lie in 0 to 1, not 2"),
        ("eta nan", "eta must lie in 0 to 1, not nan"),
        ("eta much", "eta must be a number, not 'much'"),
        ("etta .1", "No command and no knob is called 'etta'. Perhaps eta?"),
        (
            "nucleus inclusiv",
            "nucleus must be one of exclusive, inclusive, not 'inclusiv'. Perhaps inclusive or exclus",
        ),
        ("remdm-loop", "To take remdm-loop, type strategy remdm-loop"),
        ("t_on .5", "t_on has no effect unless when is loop"),
        ("exprot run.html", "No command and no knob is called 'exprot'. Perhaps export?"),
        ("break", "A breakpoint needs a condition, such as step 40 or remasked > 8 and t < .3"),
        ("w", "Type a file name, such as w run-3.remdm"),
        ("w run.html", "Unknown ending 'html': remdm"),
        ("w .remdm", "The name has no ending: remdm"),
        ("export", "Type a file name, such as export run-3.html"),
        ("export run.htm", "Unknown ending 'htm': html, png, svg. Perhaps html?"),
        ("q!", "No command and no knob is called 'q!'. Perhaps q?"),
        ("q now", "q takes nothing more, not 'now'"),
    ],
)
def test_what_is_no_command_is_answered_with_what_would_be_one(text, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        parse_command(text, KNOWN)


def test_a_strategy_that_is_misspelled_is_refused_with_its_neighbours():
    with pytest.raises(ValueError, match=r"strategy must be one of .*, not 'remdm-lop'. Perhaps remdm-loop"):
        parse_command("strategy remdm-lop", KNOWN)


def test_a_word_that_is_near_nothing_is_refused_with_the_whole_list():
    with pytest.raises(ValueError, match=r"called 'zzzz'\. There are a step, strategy, eta, .*break, w, export, q$"):
        parse_command("zzzz", KNOWN)


def test_a_knob_of_other_strategies_names_them():
    with pytest.raises(ValueError, match=r"^mdlm has no knob eta\. Strategies with one: .*remdm-rescale"):
        parse_command("eta .1", replace(KNOWN, settings=Settings("mdlm", {})))


def test_a_knob_without_an_effect_says_what_would_give_it_one():
    for info in strategies.catalogue():
        known = replace(KNOWN, settings=Settings(info.name, {knob.name: knob.default for knob in info.knobs}))
        for knob in info.knobs:
            if knob.needs is not None and knob.name not in known.knobs:
                with pytest.raises(ValueError, match=f"{knob.name} has no effect unless {knob.needs[0]} is"):
                    parse_command(f"{knob.name} 1", known)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("et", ("eta ",)),
        (":ex", ("export ",)),
        ("q", ("q",)),
        ("strategy remdm-c", ("strategy remdm-cap", "strategy remdm-conf")),
        ("nucleus ", ("nucleus exclusive", "nucleus inclusive")),
        ("nucleus in", ("nucleus inclusive",)),
        ("w ", ("w run-3.remdm",)),
        ("w mine", ("w mine.remdm",)),
        ("w mine.r", ("w mine.remdm",)),
        ("w runs/", ("w runs/run-3.remdm",)),
        ("w v1.2/mine", ("w v1.2/mine.remdm",)),
        ("export mine", ("export mine.html", "export mine.png", "export mine.svg")),
        ("export mine.s", ("export mine.svg",)),
        ("export mine.mp4", ()),
        ("break rem", ("break remasks", "break remask", "break remasked")),
        ("break count(held < .1) > 3 and rema", ("break count(held < .1) > 3 and remask",
                                                 "break count(held < .1) > 3 and remasked")),
        ("zz", ()), ("zz zz", ()), ("q ", ()),
    ],
)  # fmt: skip
def test_a_line_is_completed(text, lines):
    assert sorted(complete(text, KNOWN)) == sorted(lines)


def test_an_empty_line_offers_every_knob_and_every_command():
    offered = [line.strip() for line in complete("", LOOP)]
    assert offered == [*LOOP.knobs, *VERBS]
    assert "t_on" in offered


def test_a_knob_without_choices_offers_its_value():
    assert complete("eta ", KNOWN) == (f"eta {KNOWN.knobs['eta'][1]:.4g}",)


@pytest.mark.parametrize("text", ["q", *(f"{name} {one}" for name, one in [
    ("strategy", "remdm-cap"), ("nucleus", "exclusive"), ("w", "run-3.remdm"), ("export", "run-3.html"),
])])  # fmt: skip
def test_what_is_offered_is_a_command(text):
    assert text in complete(text, KNOWN)
    parse_command(text, KNOWN)


def test_the_line_says_what_it_expects():
    assert describe_line("", KNOWN) == "a step, a knob and its value, break, w, export, q"
    assert describe_line("4", KNOWN) == "go to a step, 0 to 164"
    assert describe_line("eta=", KNOWN).endswith(": 0 to 1")
    assert describe_line("nucleus x", KNOWN) == "nucleus, now exclusive: exclusive | inclusive"
    assert describe_line("break x", KNOWN) == "break CONDITION: stop where it becomes true"


@limits(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=30) | st.sampled_from([*VERBS, *KNOWN.knobs]).flatmap(
    lambda word: st.text(max_size=12).map(lambda rest: f"{word} {rest}")))  # fmt: skip
def test_any_text_is_a_command_or_refused(text):
    describe_line(text, KNOWN)
    assert all(line.startswith(text.lstrip(": ").split(" ")[0][:1]) for line in complete(text, KNOWN))
    with suppress(ValueError):
        assert parse_command(text, KNOWN)
