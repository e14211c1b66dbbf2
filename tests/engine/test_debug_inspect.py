"""The story of a position out of its frames, the network's opinion of it, and where branches part."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from engine.debug import branches
from engine.debug.branches import differing_positions, first_difference, shared_steps, tree
from engine.debug.findings import Moment, Verdict
from engine.debug.inspect import story
from engine.debug.prediction import predict_drafts, predict_position
from engine.models.protocol import Denoiser
from engine.records import Branch, Change, Edit, Frame
from engine.sampling import kernel
from engine.sampling.session import Session
from engine.strategies import REGISTRY, make_strategy
from engine.strategies.base import Plan, Strategy
from engine.text.numbers import short
from tests.engine.toys import MASK, RowToy, TimedToy, Toy
from tests.waiting import PATIENCE

SHAPE: dict[str, Any] = {"steps": 24, "length": 10, "batch": 3, "seed": 5, "prompt": [1], "first": 4}


def made(name: str, model: Denoiser | None = None, **knobs: Any) -> Session:
    return Session(model or Toy(), make_strategy(name, **knobs), **SHAPE)


def moments(frames: list[Frame], sample: int, position: int) -> tuple[Moment, ...]:
    return story(frames, sample, position, seed=5, first=4).moments


@pytest.mark.parametrize("name", ["remdm-cap", "remdm-conf", "mdlm", "dfm", "low-confidence"])
def test_a_story_has_every_change_with_the_draw_that_fell_below_its_chance(name: str) -> None:
    session = made(name)
    frames = list(session)
    answered = 0
    for sample in range(3):
        for position in range(10):
            mine = moments(frames, sample, position)
            changes = [f.index + 1 for f in frames if f.change[sample, position] in (Change.REVEALED, Change.REMASKED)]
            assert [moment.step for moment in mine] == changes
            answered += len(mine)
            held = token = math.nan
            for moment in mine:
                frame = frames[moment.step - 1]
                if frame.final:
                    assert math.isnan(moment.drawn)
                else:
                    assert 0 <= moment.drawn < moment.chance + 1e-7
                if moment.change is Change.REMASKED:
                    assert (moment.token, moment.held) == (token, held)
                    assert moment.chance == frame.remask[sample, position]
                else:
                    token, held = int(frame.tokens[sample, position]), float(frame.held[sample, position])
                    assert (moment.token, moment.held) == (token, held)
                assert "\n" not in moment.why
    assert answered >= 27


def test_the_draw_is_the_one_that_was_thrown_also_where_nothing_happened() -> None:
    """By its complement: where the draw lies above the chance, the position did not change."""
    session = made("remdm-cap", eta=0.3)
    frames = list(session)
    from engine.sampling import rng

    for frame in frames:
        for sample in range(3):
            key = rng.address_key(5, 4 + sample, frame.index, rng.Purpose.CHANGE)
            u = np.array([rng.uniform(key, position) for position in range(10)])
            change = frame.change[sample]
            masked = (change == Change.MASKED) | (change == Change.REVEALED)
            p = np.where(masked, frame.unmask[sample], frame.remask[sample])
            did = (change == Change.REVEALED) | (change == Change.REMASKED)
            assert np.array_equal((u < p)[1:], did[1:])


RULES: dict[str, tuple[dict[str, Any], str, str]] = {
    "remdm-cap": ({"eta": 0.3}, "(cap: min(eta .3, sigma_max ", "< p(reveal) = "),
    "remdm-rescale": ({"eta": 0.9}, "(rescale: eta .9 * sigma_max ", "< p(reveal) = "),
    "remdm-conf": ({}, "(conf: softmax(-p when revealed) * sigma_max ", "< p(reveal) = "),
    "remdm-loop": ({"eta": 0.2}, "(eta .2 in the loop, t .55 to .05; ", "< p(reveal) = "),
    "forward-backward": ({}, "((alpha_s - alpha_t) / alpha_t; ", "< p(reveal) = "),
    "dfm": ({}, "(b (alpha_s - alpha_t) / alpha_t, b ", "< p(reveal) = "),
    "low-confidence": ({}, "", "one of the 1 that the network is surest of, out of "),
    "left-to-right": ({}, "", "one of the leftmost 1 out of "),
    "topk-margin": ({}, "", "one of the 1 of the widest margin, out of "),
    "entropy": ({}, "", "one of the 1 of the lowest entropy, out of "),
    "random": ({}, "", "one of 1 chosen at random, out of "),
    "p2": ({}, "(among the lowest scores, revealed ones times eta 1; ", " that did not score lowest, out of "),
    "rdm": ({}, "(among the lowest scores of fresh draws; ", " that did not score lowest, out of "),
    "eb": ({}, "", "one of the 1 surest, within entropy .1, out of "),
    "threshold": ({}, "", "one of the 1 with p >= .9, or the surest, out of "),
    "klass": ({}, "", "one of the 1 with p > .9 and KL < .01 in 2 calls, or the surest if none has, out of "),
    "saber": (
        {},
        "(saber: its prediction gained least since the last step; ",
        "surer than the mean when revealed, or the 2 surest, out of ",
    ),
    "hierarchy": ({}, "", "surest of their runs with p > .4, or the surest, out of "),
    "pc-sampler": ({}, "", "one of the 1 with the highest exp(-1 j) min(-p log f, 1), out of "),
    "slow-fast": ({}, "", "one of the 1 with p >= .9, or the surest, of its cycle, out of "),
    "credit": ({}, "", "one of the 1 with p >= .9 after credit, or the surest, out of "),
    "factor": ({}, "", "one of the 1 surest, by p >= 1 - 1 / (rank + 1), out of "),
    "t2m": ({}, "(probability now < .5; ", "one of the 1 with p > .95, or the surest, out of "),
    "llada21-edit": ({}, "", "one of the 1 with p > .95, or the surest, out of "),
    "wino": ({"threshold": 0.2}, "(probability without seeing it < .9; ", "with p > .2, or the surest, out of "),
    "info-gain": ({}, "", "the one that leaves the network surest, out of "),
    "llada-remdm": ({}, "(one of the least probable now; ", "one of the 1 that the network is surest of, out of "),
    "prism": ({}, "(certain for the tokens that the head scores lowest; ", "that the network is surest of, out of "),
    "remedi": ({}, "(certain for what is not among the highest scores; ", "among the highest scores, out of "),
}
"""Knobs, and the sentences about a remask and a reveal, for each strategy that has a rule."""


def rules_of(name: str) -> tuple[dict[str, Any], str, str]:
    """Return the row of RULES; for a strategy that names no rule, the sentences about the draw alone."""
    kind = REGISTRY[name]
    silent = kind.remask_rule is Strategy.remask_rule and kind.reveal_rule is Strategy.reveal_rule
    assert silent or name in RULES, f"add {name} to RULES: it has a `remask_rule` or a `reveal_rule`"
    return RULES.get(name, ({}, "", "< p(reveal) = "))


@pytest.mark.parametrize("name", [*REGISTRY])
def test_every_strategy_says_by_which_rule_it_changed_a_token(name: str) -> None:
    knobs, remask, reveal = rules_of(name)
    frames = list(made(name, **knobs))
    history = [one for sample in range(3) for position in range(10) for one in moments(frames, sample, position)]
    drawn = [one for one in history if not math.isnan(one.drawn)]
    remasks = [one for one in drawn if one.change is Change.REMASKED]
    assert bool(remask) == bool(remasks) or name not in RULES
    assert all(f"< sigma = {short(one.chance)} {remask}" in one.why for one in remasks)
    reveals = [one for one in drawn if one.change is Change.REVEALED]
    assert reveals
    assert any(reveal.removeprefix("u = .12 ") in one.why for one in reveals)


@pytest.mark.parametrize(
    ("knobs", "text"),
    [
        ({"when": "switch", "t_switch": 0.5}, "cap: min(eta .04, sigma_max .031) below t_switch .5"),
        ({"when": "loop"}, "cap: min(eta .04, sigma_max .031) in the loop, t .55 to .05"),
    ],
)
def test_a_rule_says_when_it_holds(knobs: dict[str, Any], text: str) -> None:
    assert make_strategy("remdm-cap", eta=0.04, **knobs).remask_rule(0.4, 0.031) == text


def test_a_strategy_of_ones_own_has_the_expected_number_alone() -> None:
    frames = [replace(one, settings=replace(one.settings, strategy="mine")) for one in made("remdm-cap", eta=0.3)]
    history = [one for position in range(10) for one in moments(frames, 0, position) if one.change is Change.REMASKED]
    assert history
    assert all(one.why.endswith("remasks expected in this step)") for one in history)


def test_the_share_of_a_remask_is_confs_softmax() -> None:
    frames = list(made("remdm-conf"))
    seen = 0
    for before, frame in pairwise(frames):
        for sample, position in zip(*np.nonzero(frame.change == Change.REMASKED), strict=True):
            there = (frame.change[sample] == Change.REMASKED) | (frame.change[sample] == Change.HELD)
            weights = np.exp(-before.held[sample].astype(np.float64)) * there
            weights = np.where(there, weights, 0)
            (moment,) = [m for m in moments(frames, int(sample), int(position)) if m.step == frame.index + 1]
            assert moment.share == pytest.approx(weights[position] / np.nansum(weights), rel=1e-4)
            seen += 1
    assert seen > 3


def test_a_clean_up_and_an_edit_draw_nothing_and_move_no_draw_on() -> None:
    session = made("remdm-cap", eta=0.3)
    for frame in session:
        if frame.tokens[1, 4] != MASK and frame.index > 6:
            break
    token_before, held = int(frame.tokens[1, 4]), float(frame.held[1, 4])
    edit = session.edit(Edit("mask", 1, 4))
    list(session)
    mine = moments(list(session.frames), 1, 4)
    (by_hand,) = [moment for moment in mine if moment.step == edit.index + 1]
    assert (by_hand.token, by_hand.held, by_hand.why) == (token_before, held, "masked by hand")
    assert math.isnan(by_hand.drawn)
    later = [moment for moment in mine if moment.step > edit.index + 1]
    assert later
    assert all(moment.drawn < moment.chance + 1e-7 for moment in later)
    dfm = list(Session(Toy(), make_strategy("dfm"), steps=8, length=40))
    last = dfm[-1]
    assert last.final
    position = int(np.flatnonzero(last.change[0] == Change.REVEALED)[0])
    assert story(dfm, 0, position, seed=0).moments[-1].why.startswith("Masked after the last step")


@pytest.mark.parametrize(
    ("edit", "touched"),
    [
        (Edit("force", 1, 4, (2,)), {(1, 4)}),
        (Edit("force", None, 4, (2,)), {(0, 4), (1, 4), (2, 4)}),
        (Edit("unlock", 0, 0), {(0, 0)}),
        (Edit("prompt", 2, tokens=(1, 3)), {(2, 1)}),
    ],
)
def test_an_edit_is_in_the_stories_of_what_it_touched(edit: Edit, touched: set[tuple[int, int]]) -> None:
    session = made("mdlm")
    next(session)
    session.edit(edit)
    frames = list(session.frames)
    answered = {
        (b, i) for b in range(3) for i in range(10) if any(m.why.endswith("by hand") for m in moments(frames, b, i))
    }
    assert answered == touched


def test_a_story_needs_no_torch() -> None:
    program = (
        "import sys, engine.debug.inspect, engine.debug.branches, engine.debug.breakpoints, engine.debug.laws; "
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("place", [(3, 0), (0, 10), (-1, 0)])
def test_a_position_that_is_not_there_has_neither_story_nor_prediction(place: tuple[int, int]) -> None:
    session = made("mdlm")
    next(session)
    with pytest.raises(ValueError, match="there is no position"):
        moments(list(session.frames), *place)
    with pytest.raises(ValueError, match="there is no position"):
        predict_position(session, *place, kinds=REGISTRY)


@pytest.mark.parametrize("model", [Toy, RowToy, TimedToy])
def test_a_prediction_is_the_networks_distribution_at_that_position(model: type[Toy]) -> None:
    session = made("remdm-cap", model())
    session.set(top_p=0.7, temperature=0.8)
    for _ in range(8):
        next(session)
    for position in range(1, 10):
        answered = predict_position(session, 1, position, kinds={})
        tokens = session.tokens[1:2].clone()
        assert answered.token == int(tokens[0, position])
        tokens[0, position] = MASK
        t = torch.tensor([1 - 8 / 24], dtype=torch.float64)
        p = kernel.probabilities(session.model.project(session.model.encode(tokens, t)[0, position][None]), MASK, 0.8)
        kept = kernel.nucleus_sorted(p, 0.7, "exclusive")[0] > 0
        assert [one.token for one in answered.top] == p[0].argsort(descending=True)[:5].tolist()
        for one in answered.top:
            assert one.probability == pytest.approx(float(p[0, one.token]))
            assert one.kept == bool(kept[one.token])
        assert answered.nucleus == int(kept.sum())
        assert answered.entropy == pytest.approx(float(-(p[0, :5] * p[0, :5].log()).sum()))
        assert answered.masked == (answered.token == MASK)
        assert (
            math.isnan(answered.own) if answered.masked else answered.own == pytest.approx(float(p[0, answered.token]))
        )


@pytest.mark.parametrize("model", [Toy, RowToy, TimedToy])
def test_drafts_are_the_first_choices_of_the_predictions_at_all_masks(model: type[Toy]) -> None:
    session = made("remdm-cap", model())
    session.set(temperature=0.8)
    for _ in range(8):
        next(session)
    for step in (8, 3, 0):
        drafts = predict_drafts(session, 1, step)
        masked = [
            predicted
            for position in range(10)
            if (predicted := predict_position(session, 1, position, kinds={}, step=step)).masked
        ]
        assert (drafts.step, drafts.sample) == (step, 1)
        assert drafts.positions == tuple(predicted.position for predicted in masked)
        assert drafts.tokens == tuple(predicted.top[0].token for predicted in masked)
        assert drafts.probabilities == pytest.approx([predicted.top[0].probability for predicted in masked])
        assert drafts.entropies == pytest.approx([predicted.entropy for predicted in masked])
    assert session.index == 8
    with pytest.raises(ValueError, match="there is no sample 7"):
        predict_drafts(session, 7)
    with pytest.raises(ValueError, match="9"):
        predict_drafts(session, 0, 9)


def test_at_temperature_zero_the_argmax_alone_is_kept() -> None:
    session = made("mdlm")
    session.set(temperature=0)
    next(session)
    answered = predict_position(session, 0, 5, kinds={}, top=3)
    assert [one.kept for one in answered.top] == [True, False, False]
    assert answered.nucleus == 1


def after_twelve() -> Session:
    session = made("remdm-cap", eta=0.2)
    for _ in range(12):
        next(session)
    return session


@cache
def verdicts_after_twelve() -> dict[tuple[int, int], dict[str, Verdict]]:
    """The actions of every strategy at a few positions, all in one answer."""
    session = after_twelve()
    return {
        (b, i): {v.strategy: v for v in predict_position(session, b, i, kinds=REGISTRY).verdicts}
        for b in range(3)
        for i in (3, 7)
    }


@pytest.mark.parametrize("name", REGISTRY)
def test_a_verdict_is_what_the_strategy_does_when_it_is_chosen(name: str) -> None:
    session, answered = after_twelve(), verdicts_after_twelve()
    # the running one comes first, with its own knobs
    assert all(next(iter(verdicts)) == "remdm-cap" and len(verdicts) == len(REGISTRY) for verdicts in answered.values())
    session.fork()
    if name != "remdm-cap":
        session.set(strategy=make_strategy(name))
    frame = next(session)
    for (sample, position), verdicts in answered.items():
        verdict = verdicts[name]
        assert verdict.problem == ""
        was_masked = frame.change[sample, position] in (Change.MASKED, Change.REVEALED)
        assert verdict.unmask == pytest.approx(float(frame.unmask[sample, position]) * was_masked, rel=1e-5)
        assert verdict.remask == pytest.approx(float(frame.remask[sample, position]) * (not was_masked), rel=1e-5)


def test_a_prediction_changes_nothing_and_can_be_had_of_any_step() -> None:
    session, other = made("remdm-cap"), made("remdm-cap")
    for _ in range(9):
        next(session)
    early = predict_position(session, 0, 4, kinds=REGISTRY, step=2)
    assert early.step == 2
    whole = [*session.frames, *session]
    for a, b in zip(whole, other, strict=True):
        assert np.array_equal(a.tokens, b.tokens)
    session.fork(2)
    again = predict_position(session, 0, 4, kinds=REGISTRY)
    assert replace(again, own=0.0) == replace(early, own=0.0)


def test_verdicts_say_why_there_is_none() -> None:
    session = Session(Toy(), make_strategy("mdlm"), steps=8, length=10, prompt=[1], block_length=3)

    def reason(position: int, kinds: dict[str, type[Strategy]]) -> str:
        return predict_position(session, 0, position, kinds=kinds).verdicts[-1].problem

    class Broken(Strategy):
        name = "broken"

        def plan(self, view: Any) -> Plan:
            return Plan(view.alpha_t * math.nan, view.alpha_t)

    cap = {"remdm-cap": REGISTRY["remdm-cap"]}
    assert reason(0, cap) == "the position is locked"
    assert reason(8, cap) == "the position is not in the block at work"
    assert reason(2, {"broken": Broken}) == "the strategy's plan holds a NaN"
    list(session)
    assert reason(9, cap) == "no step is left"


def test_the_window_must_reach_the_position() -> None:
    session = Session(Toy(), make_strategy("mdlm"), steps=4, length=8, stride=4, strides=2)
    next(session)
    assert predict_position(session, 0, 7, kinds={}).masked
    with pytest.raises(ValueError, match="the window that the network sees does not reach position 12"):
        predict_position(session, 0, 12, kinds={})


def test_where_two_branches_part_is_found_and_before_it_they_are_the_same() -> None:
    session = made("remdm-cap", eta=0.1)
    list(session)
    session.fork(10)
    session.set(strategy=make_strategy("remdm-cap", eta=0.9))
    list(session)
    session.switch(0)
    ours = [None, *session.frames]
    session.switch(1)
    theirs = [None, *session.frames]
    found = first_difference(ours.__getitem__, theirs.__getitem__, 24, shared=10)
    assert found is not None
    assert found == first_difference(ours.__getitem__, theirs.__getitem__, 24)
    assert found.step > 10
    for step in range(1, 25):
        a, b = ours[step], theirs[step]
        assert a is not None
        assert b is not None
        assert step >= found.step or not differing_positions(a, b).any()
        if step == found.step:
            where = differing_positions(a, b)
            assert where[found.sample, found.position]
            assert not where[: found.sample].any()
            assert not where[found.sample, : found.position].any()
            assert found.positions == where.sum()
    alone = [first_difference(ours.__getitem__, theirs.__getitem__, 24, sample=sample) for sample in range(3)]
    assert min(one.step for one in alone if one) == found.step
    assert first_difference(ours.__getitem__, ours.__getitem__, 24) is None
    with pytest.raises(ValueError, match="cannot be compared"):
        differing_positions(session.frames[0], replace(session.frames[0], tokens=np.zeros((1, 2), np.int32)))


FAMILY = {b.id: b for b in (Branch(0), Branch(1, 0, 10), Branch(2, 1, 30), Branch(3, 0, 20), Branch(4, 1, 15))}


def test_a_tree_shows_children_under_their_parents_in_the_order_of_their_forks() -> None:
    rows = tree(list(FAMILY.values()))
    assert [(row.branch.id, row.rails, row.last) for row in rows] == [
        (0, (), True),
        (1, (False,), False),
        (4, (False, True), False),
        (2, (False, True), True),
        (3, (False,), True),
    ]


@pytest.mark.parametrize(("a", "b", "steps"), [(0, 1, 10), (1, 2, 30), (2, 4, 15), (2, 3, 10), (0, 2, 10), (4, 1, 15)])
def test_how_much_two_branches_share(a: int, b: int, steps: int) -> None:
    assert shared_steps(FAMILY, a, b) == shared_steps(FAMILY, b, a) == steps


def test_branches_that_cannot_be_compared_are_refused() -> None:
    for a, b in ((0, 9), (9, 0), (1, 1)):
        with pytest.raises(ValueError, match="branch"):
            shared_steps(FAMILY, a, b)
    with pytest.raises(ValueError, match="its own parent"):
        branches.shared_steps({1: Branch(1, 2, 0), 2: Branch(2, 1, 0), 3: Branch(3)}, 1, 3)
