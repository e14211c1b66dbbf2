"""The laws: every registered strategy keeps them, and each law is broken by a strategy that is wrong in its way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from engine.debug.claims import MASKS_LEFT, Claims, claims_of
from engine.debug.findings import Violation
from engine.debug.laws import EXPECTED, LAWS, LawState, bernoulli_divergence, check_laws, marginal_band, nats
from engine.records import Change, Edit, Frame
from engine.sampling.session import Session
from engine.strategies import REGISTRY, Plan, Strategy, View, make_strategy
from engine.strategies.base import knob, posterior, quota
from engine.strategies.remdm_cap import RemdmCap
from engine.strategies.words import QUOTAS
from tests.engine.toys import Toy

RUN: dict[str, Any] = {"steps": 20, "length": 24, "batch": 24}


def broken(frames: Sequence[Frame], claims: Claims, edges: Sequence[int]) -> list[Violation]:
    state, violations = LawState(), []
    for frame in frames:
        state, new = check_laws(frame, claims, state, edges)
        violations += new
    return violations


def run(strategy: Strategy, **more: Any) -> list[Violation]:
    session = Session(Toy(), strategy, **{**RUN, **more})
    return broken(list(session), claims_of(strategy), session.blocks.edges)


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in REGISTRY if name not in ("forward-backward", "remdm-loop")),
    ("remdm-loop", {"t_off": 0.25}),
    ("remdm-cap", {"eta": 1.0}),
    ("remdm-cap", {"eta": 0.3, "when": "switch"}),
    ("remdm-rescale", {"eta": 0.9, "when": "loop", "alpha_on": 0.5}),
    ("remdm-loop", {"eta": 0.5, "rule": "rescale"}),
    ("remdm-conf", {"base": "cap", "eta": 0.7}),
    ("entropy", {"shares": "dream"}),
    ("hierarchy", {"remask": 0.4}),
    ("p2", {"eta": 0, "score": "random"}),
    ("llada-remdm", {"version": "random"}),
]


@pytest.mark.parametrize(
    "canvas",
    [
        {},
        {"prompt": [1, 2, 3], "steps": 12},
        {"block_length": 8, "steps": 18},
        {"length": 12, "stride": 6, "strides": 2, "steps": 6},
        {"batch": 1, "steps": 12},
    ],
    ids=lambda canvas: "+".join(canvas) or "plain",
)
@pytest.mark.parametrize(("name", "knobs"), VARIANTS, ids=lambda x: x if isinstance(x, str) else str(x or ""))
def test_every_registered_strategy_keeps_the_laws(name: str, knobs: dict[str, Any], canvas: dict[str, Any]) -> None:
    assert run(make_strategy(name, **knobs), **canvas) == []


def test_a_clamp_that_the_formula_implies_at_the_last_step_breaks_no_law() -> None:
    loop = make_strategy("remdm-loop")
    assert run(loop) == []
    for strategy, steps in ((make_strategy("forward-backward"), 20), (loop, 8)):
        violations = run(strategy, steps=steps)
        assert [(found.law, found.step) for found in violations] == [(EXPECTED, steps)]
        assert violations[0].formula == strategy.leaves_range
        assert "sigma_max = 0" in violations[0].formula


def test_a_clamp_at_any_other_step_breaks_a_law_whatever_the_strategy_declares() -> None:
    violations = run(make_strategy("remdm-loop", eta=0.5))
    assert {"range", "sigma"} <= {found.law for found in violations if found.step < 20}


def test_a_strategy_that_declares_nothing_breaks_a_law_at_the_last_step_too() -> None:
    undeclared = replace(claims_of(make_strategy("forward-backward")), leaves_range="")
    session = Session(Toy(), make_strategy("forward-backward"), **RUN)
    violations = broken(list(session), undeclared, session.blocks.edges)
    assert {found.law for found in violations} == {"range", "sigma"}


@dataclass(frozen=True)
class Forgetful(RemdmCap):
    """Remasks as remdm-cap does and reveals as mdlm does, so nothing makes up for what is remasked."""

    name = "forgetful"

    def plan(self, view: View) -> Plan:
        return Plan(posterior(view, view.alpha_t * 0).unmask, super().plan(view).remask)


@dataclass(frozen=True)
class Hasty(RemdmCap):
    """Reveals too much."""

    name = "hasty"

    def plan(self, view: View) -> Plan:
        return Plan(super().plan(view).unmask * 1.7, super().plan(view).remask)


@dataclass(frozen=True)
class Unbounded(RemdmCap):
    """A constant sigma without its bound."""

    name = "unbounded"

    def plan(self, view: View) -> Plan:
        return posterior(view, view.alpha_t * 0 + 0.3)


@dataclass(frozen=True)
class Backward(RemdmCap):
    """A probability with the wrong sign."""

    name = "backward"

    def plan(self, view: View) -> Plan:
        return Plan(super().plan(view).unmask, -super().plan(view).remask)


@pytest.mark.parametrize(
    ("strategy", "law", "formula"),
    [
        (Forgetful(eta=0.05), "marginal", "E[masked] / n = 1 - alpha_s"),
        (Hasty(), "marginal", "E[masked] / n = 1 - alpha_s"),
        (Unbounded(), "sigma", "remask <= sigma_max = min(1, (1 - alpha_s) / alpha_t)"),
        (Backward(), "range", "0 <= unmask <= 1 and 0 <= remask <= 1"),
    ],
    ids=lambda x: x.name if isinstance(x, Strategy) else "",
)
def test_a_wrong_strategy_is_found_out_with_the_formula_and_the_numbers(
    strategy: Strategy, law: str, formula: str
) -> None:
    violations = run(strategy)
    first = next(violation for violation in violations if violation.law == law)
    assert first.formula == formula
    assert all(math.isfinite(number) for _, number in first.numbers)
    assert "\n" not in first.message


@dataclass(frozen=True)
class Counting(Strategy):
    """Reveals the leftmost masks by LLaDA's quota, and `more` besides; masks `again` of the revealed ones again."""

    name = "counting"
    preserves_marginal = False
    remask_limit = 0
    more: int = knob(0, "", 0, 9)
    again: int = knob(0, "", 0, 9)
    claim: str = knob("llada", "", choices=tuple(QUOTAS))

    def plan(self, view: View) -> Plan:
        chosen = view.masked & (view.masked.cumsum(-1) <= quota(view) + self.more)
        return Plan(chosen.double(), (view.revealed & (view.revealed.cumsum(-1) <= self.again)).double())

    def keeps_quota(self) -> str:
        return self.claim


@dataclass(frozen=True)
class Two(Counting):
    """Claims that it masks two tokens again at most."""

    name = "two"
    remask_limit = 2


@dataclass(frozen=True)
class Seldom(Counting):
    """Masks a token again once in a million."""

    name = "seldom"

    def plan(self, view: View) -> Plan:
        return Plan(super().plan(view).unmask, view.alpha_t * 0 + 1e-6)


@pytest.mark.parametrize(
    ("strategy", "law", "formula", "message"),
    [
        (Counting(more=1), "quota", "revealed = ceil(masked (1 - s / t))", "21 masks are left in sample 0; 22 by"),
        (Counting(claim="dream"), "quota", "revealed = floor(masked (1 - s / t))", "22 masks are left in sample 0; 23"),
        (Two(again=3, claim="clock"), "quota", "masked <= floor(n (1 - alpha_s))", "masks are left in sample 0; "),
        (Counting(again=1), "limit", "remask = 0: the strategy never remasks", "sigma = 1 in sample 0"),
        (Seldom(), "limit", "remask = 0: the strategy never remasks", "sigma = 1e-06 in sample 0"),
        (Two(again=3), "limit", "remasked <= 2 in every sequence", "3 remasks in sample 0"),
    ],
    ids=["more", "another quota", "clock", "again", "seldom", "three"],
)
def test_a_strategy_is_held_to_what_it_declares(strategy: Strategy, law: str, formula: str, message: str) -> None:
    first = next(violation for violation in run(strategy) if violation.law == law)
    assert first.formula.startswith(formula)
    assert message in first.message


def test_what_is_declared_and_kept_breaks_no_law_and_what_is_not_declared_is_not_asked() -> None:
    @dataclass(frozen=True)
    class Silent(Counting):
        name = "silent"
        remask_limit = None

        def keeps_quota(self) -> str:
            return ""

    assert run(Counting()) == run(Two(again=2)) == run(Silent(more=1, again=3)) == []
    assert set(MASKS_LEFT) == set(QUOTAS)


def test_a_strategy_without_remasks_says_so_and_one_that_remasks_does_not() -> None:
    for name, kind in REGISTRY.items():
        none = make_strategy(name).most_remasks(0.5, 0.4, 10) == 0
        assert none != kind.remasks, name


def test_a_marginal_that_nobody_claims_is_not_missed() -> None:
    @dataclass(frozen=True)
    class Honest(Forgetful):
        preserves_marginal = False

    assert run(Honest(eta=0.05)) == []


def tampered(**changes: Any) -> list[Violation]:
    """A true run in which one frame is another."""
    strategy = make_strategy("remdm-cap", eta=0.1)
    frames = list(Session(Toy(), strategy, **RUN))
    frames[9] = replace(frames[9], **changes)
    return broken(frames, claims_of(strategy), (0, 24))


def test_flips_that_do_not_follow_the_plan_are_found_out() -> None:
    strategy = make_strategy("remdm-cap", eta=0.1)
    frame = list(Session(Toy(), strategy, **RUN))[9]
    change = frame.change.copy()
    change[change == Change.HELD] = Change.REMASKED
    assert "remasks" in {violation.law for violation in tampered(change=change)}
    change = frame.change.copy()
    change[change == Change.MASKED] = Change.REVEALED
    assert "reveals" in {violation.law for violation in tampered(change=change)}


def test_a_network_call_too_many_is_found_out() -> None:
    strategy = make_strategy("remdm-cap")
    frames = list(Session(Toy(), strategy, **RUN))
    violations = tampered(network_calls=frames[9].network_calls + 1)
    # the step after it has one too few
    assert [(violation.law, violation.step) for violation in violations] == [("calls", 10)]


def test_every_law_has_its_negative_control() -> None:
    found = {
        violation.law for strategy in (Forgetful(eta=0.05), Unbounded(), Backward()) for violation in run(strategy)
    }
    assert len(LAWS) == 8
    assert found >= {"marginal", "sigma", "range"}


def test_a_law_that_stays_broken_is_reported_once() -> None:
    violations = [violation for violation in run(Forgetful(eta=0.05)) if violation.law == "marginal"]
    assert len(violations) == 1


def test_the_smallest_batch_sees_what_is_very_wrong() -> None:
    assert run(Unbounded(), batch=1, length=120)


def test_after_an_edit_or_a_change_of_clocks_nobody_owes_the_marginal() -> None:
    strategy = make_strategy("remdm-loop")
    session = Session(Toy(), make_strategy("mdlm"), **RUN)
    frames = [next(session) for _ in range(8)]
    session.set(strategy=strategy)
    assert broken([*frames, *session], claims_of(strategy), (0, 24)) == []
    mdlm = list(Session(Toy(), make_strategy("mdlm"), **RUN))
    moved = [
        replace(frame, change=np.where(frame.change == Change.HELD, np.uint8(Change.MASKED), frame.change))
        for frame in mdlm
    ]
    edit = replace(mdlm[0], edit=Edit("mask", position=3))
    claims = claims_of(strategy)
    assert "marginal" in {violation.law for violation in broken(moved, claims, (0, 24))}
    assert "marginal" not in {violation.law for violation in broken([mdlm[0], edit, *moved[1:]], claims, (0, 24))}


@pytest.mark.parametrize("positions", [20, 1000])
def test_the_band_is_left_as_seldom_as_it_says(positions: int) -> None:
    """Against the binomial's own tails."""
    steps = np.arange(50)
    expected = 1 - (steps + 1) / 60
    least, most = marginal_band(expected, positions, steps)
    counts = np.arange(positions + 1)
    for step in steps:
        binomial = stats.binom(positions, expected[step])
        below, above = counts[counts < least[step] * positions - 1e-9], counts[counts > most[step] * positions + 1e-9]
        allowed = math.exp(-float(nats(step)))
        assert binomial.cdf(below.max(initial=-1)) <= allowed
        assert binomial.sf(above.min(initial=positions + 1) - 1) <= allowed
        for side in (least[step], most[step]):
            assert positions * float(bernoulli_divergence(side, expected[step])) <= float(nats(step)) + 1e-6
    assert (most - least < 1).all() or positions == 20


def test_all_shares_of_a_run_together_are_a_millionth() -> None:
    assert 6 * np.exp(-nats(np.arange(10**6))).sum() == pytest.approx(1e-6, rel=1e-4)
