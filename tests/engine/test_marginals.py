"""The expected masked fraction after every step is 1 - alpha_s, for the strategies that promise it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from engine.sampling.session import Session
from engine.strategies import REGISTRY, Plan, Strategy, View, make_strategy
from engine.strategies.base import quota
from engine.strategies.remdm_cap import RemdmCap
from tests.engine.stats import z_score
from tests.engine.toys import Toy

STEPS, LENGTH, BATCH = 16, 20, 600
"""The steps do not divide the length: where they do, a quota of whole tokens keeps the clock to the token."""
TOLERANCE = 5.0
"""Standard deviations; under a plan of times alone the positions are independent."""

KEEPING = [name for name, strategy in REGISTRY.items() if strategy.preserves_marginal]
VARIANTS = [
    *((name, {}) for name in KEEPING),
    ("remdm-cap", {"eta": 0.3}),
    ("remdm-cap", {"eta": 0.1, "when": "switch"}),
    ("remdm-cap", {"eta": 0.05, "when": "loop"}),
    ("remdm-rescale", {"eta": 0.9}),
    ("remdm-rescale", {"eta": 0.9, "when": "loop", "alpha_on": 0.5}),
    ("remdm-loop", {"eta": 0.1, "rule": "cap"}),
    ("remdm-loop", {"eta": 0.5, "rule": "rescale"}),
]


def largest_z(strategy: Strategy) -> float:
    """The worst step of a run, among those whose plan was a probability."""
    session = Session(Toy(), strategy, steps=STEPS, length=LENGTH, batch=BATCH, seed=3)
    steps = [frame for frame in session if not frame.final and frame.excess == 0]
    assert len(steps) >= STEPS - 1
    count = BATCH * LENGTH
    return max(z_score(float(frame.masked.mean()), 1 - frame.alpha_s, count) for frame in steps)


@pytest.mark.parametrize(("name", "knobs"), VARIANTS, ids=lambda x: x if isinstance(x, str) else str(x or "default"))
def test_the_masked_fraction_follows_the_clock(name: str, knobs: dict[str, object]) -> None:
    assert largest_z(make_strategy(name, **knobs)) < TOLERANCE


@dataclass(frozen=True)
class Forgetful(RemdmCap):
    """Remasks as remdm-cap does and reveals as mdlm does, so nothing makes up for what is remasked."""

    name = "forgetful"

    def plan(self, view: View) -> Plan:
        return Plan(make_strategy("mdlm").plan(view).unmask, super().plan(view).remask)


def test_a_plan_that_does_not_make_up_for_remasking_is_found_out() -> None:
    assert largest_z(Forgetful(eta=0.02)) > TOLERANCE


@dataclass(frozen=True)
class Counting(Strategy):
    """Reveals whole tokens by a quota and claims to keep the marginal, as every strategy does that says nothing."""

    name = "counting"

    def plan(self, view: View) -> Plan:
        return Plan((view.masked & (view.masked.cumsum(-1) <= quota(view))).double(), view.alpha_t * 0)


def test_a_quota_that_claims_to_keep_the_marginal_is_found_out() -> None:
    assert Counting.preserves_marginal
    assert largest_z(Counting()) > TOLERANCE


def test_conf_reveals_too_little_to_make_up_for_what_it_remasks() -> None:
    """By the paper's own formula: a masked position's sigma is 0, so its unmask is mdlm's."""
    assert not REGISTRY["remdm-conf"].preserves_marginal
    assert largest_z(make_strategy("remdm-conf")) > TOLERANCE
