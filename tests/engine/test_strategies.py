"""Every strategy in the registry: its plans, its knobs and its clock."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.records import Change, KnobInfo, Settings
from engine.sampling.memory import begin
from engine.sampling.session import Session, config_of
from engine.sampling.state import SamplerState
from engine.sampling.step import Stepper
from engine.strategies import (
    REGISTRY,
    Plan,
    Prediction,
    Strategy,
    View,
    asks_network,
    catalogue,
    describe,
    make_strategy,
    reads_of,
    values,
)
from engine.strategies.base import knobs
from engine.strategies.schedules import dfm_grid, next_time, uniform_grid
from engine.strategies.when import WHEN
from engine.strategies.words import READS
from tests.engine.toys import MASK, Toy

BOUNDED = ("remdm-cap", "remdm-rescale", "remdm-conf")
"""Their sigma never exceeds sigma_max."""


def knob_value(info: KnobInfo) -> st.SearchStrategy[object]:
    if info.choices:
        return st.sampled_from([choice for choice in info.choices if not choice.startswith("*")])
    assert info.low is not None
    assert info.high is not None
    return st.floats(info.low, info.high)


@st.composite
def strategy(draw: st.DrawFn, name: str) -> Strategy:
    """A strategy with its knobs anywhere in their ranges."""
    chosen = {info.name: draw(knob_value(info)) for info in knobs(REGISTRY[name])}
    if chosen.get("when") == "loop":
        low, high = sorted((chosen["t_on"], chosen["t_off"]))
        chosen["t_off"], chosen["t_on"] = min(low, 0.97), max(high, 0.98)
    return make_strategy(name, **chosen)


def predicted(ids: torch.Tensor, confidence: torch.Tensor) -> Prediction:
    """Return a prediction that says the same of every position."""
    return Prediction.blank(confidence)._replace(ids=ids, confidence=confidence)


@st.composite
def view(draw: st.DrawFn, made: Strategy, rows: int = 3, length: int = 7) -> View:
    """What a plan may be shown: times t > s, and masks that fit them (all masked at t = 1)."""
    times = st.tuples(st.integers(0, 999), st.integers(1, 1000)).filter(lambda pair: pair[0] < pair[1])
    pairs = draw(st.lists(times, min_size=rows, max_size=rows))
    s, t = (torch.tensor(column, dtype=torch.float64)[:, None] / 1000 for column in zip(*pairs, strict=True))
    noise = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    masked = torch.rand(rows, length, generator=noise) < t
    locked = torch.arange(length) < draw(st.integers(0, 2))
    masked &= ~locked
    probability = torch.rand(rows, length, generator=noise, dtype=torch.float64)
    held = probability.masked_fill(masked, torch.nan)
    ids = torch.randint(MASK, (rows, length), generator=noise)
    seen = View(
        t, s, made.alpha(t), made.alpha(s), masked, ~masked & ~locked, held, tokens=ids.masked_fill(masked, MASK)
    )
    initial = begin(made, held)
    if initial is not None:
        seen = replace(seen, previous=initial.previous, memory=initial.own)
    even = torch.rand(rows, length, generator=noise).double()
    seen = replace(seen, noise=even if "noise" in reads_of(made) else None, ahead=even)
    return replace(seen, prediction=predicted(ids, probability)) if asks_network(made) else seen


def state_of(seen: View) -> SamplerState:
    tokens = torch.where(seen.masked, MASK, 0)
    locked = ~seen.masked & ~seen.revealed
    return SamplerState(tokens, seen.held, locked, list(range(len(tokens))))


@pytest.mark.parametrize("name", REGISTRY)
@settings(max_examples=25)
@given(data=st.data())
def test_a_plan_is_a_probability_or_the_step_says_by_how_much_it_is_not(name: str, data: st.DataObject) -> None:
    made = data.draw(strategy(name))
    seen = data.draw(view(made))
    plan = made.plan(seen)
    shape = seen.masked.shape
    unmask, remask = (p.expand(shape) for p in plan[:2])
    assert not torch.isnan(unmask).any()
    assert not torch.isnan(remask).any()
    decision, _ = Stepper(Toy(), 0).decide(
        config_of(made, Settings(name)), state_of(seen), [0] * shape[0], seen.t, seen.s
    )
    if asks_network(made):
        # the stepper showed the plan the toy's own candidates
        assert (decision.excess == 0).all()
    else:
        beyond = torch.maximum(
            ((unmask - unmask.clamp(0, 1)).abs() * seen.masked).amax(-1),
            ((remask - remask.clamp(0, 1)).abs() * seen.revealed).amax(-1),
        )
        torch.testing.assert_close(decision.excess, beyond, atol=2e-9, rtol=0)
    for p in (decision.unmask, decision.remask):
        assert ((p >= 0) & (p <= 1)).all()
    assert not (decision.flips.reveal & ~seen.masked).any()
    assert not (decision.flips.forget & ~seen.revealed).any()


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", BOUNDED)
@settings(max_examples=30)
@given(data=st.data())
def test_sigma_stays_within_its_bound(name: str, when: str, data: st.DataObject) -> None:
    drawn = data.draw(strategy(name))
    made = make_strategy(name, **{**values(drawn), "when": when, "t_on": 0.6, "t_off": 0.1})
    seen = data.draw(view(made))
    sigma = made.plan(seen).remask
    assert (sigma >= 0).all()
    assert (sigma <= seen.sigma_max + 1e-12).all()


@pytest.mark.parametrize("name", ["remdm-cap", "remdm-rescale"])
@pytest.mark.parametrize("when", ["always", "switch"])
@given(data=st.data())
def test_eta_zero_is_mdlm(name: str, when: str, data: st.DataObject) -> None:
    made = make_strategy(name, eta=0, when=when)
    seen = data.draw(view(made))
    got, mdlm = made.plan(seen), make_strategy("mdlm").plan(seen)
    assert torch.equal(got.unmask, mdlm.unmask)
    assert torch.equal(got.remask, mdlm.remask)


@pytest.mark.parametrize("rule", ["constant", "cap", "rescale"])
@given(data=st.data())
def test_a_loop_of_eta_zero_is_mdlm_on_the_loops_clock(rule: str, data: st.DataObject) -> None:
    made = make_strategy("remdm-loop", eta=0, rule=rule)
    seen = data.draw(view(made))
    got, mdlm = made.plan(seen), make_strategy("mdlm").plan(seen)
    assert torch.equal(got.unmask, mdlm.unmask)
    assert not got.remask.any()


def test_the_rules_of_a_loop_are_a_cap_and_a_share_of_the_most_that_is_valid() -> None:
    alpha = torch.full((1, 1), 0.9, dtype=torch.float64)
    revealed = torch.ones(1, 4, dtype=torch.bool)
    t, s = torch.full((1, 1), 0.4), torch.full((1, 1), 0.3)
    seen = View(t, s, alpha, alpha, ~revealed, revealed, revealed.double())
    remask = {rule: make_strategy("remdm-loop", eta=0.05, rule=rule).plan(seen).remask for rule in ("cap", "rescale")}
    assert remask["cap"].item() == pytest.approx(0.05)
    assert remask["rescale"].item() == pytest.approx(0.05 * 0.1 / 0.9)


@given(data=st.data())
def test_before_its_switch_a_rule_is_mdlm_and_below_it_is_itself(data: st.DataObject) -> None:
    switched, always = (make_strategy("remdm-cap", eta=0.3, when=when, t_switch=0.4) for when in ("switch", "always"))
    seen = data.draw(view(always))
    early = (seen.t >= 0.4).expand(-1, 1)
    expected = torch.where(early, 0.0, always.plan(seen).remask)
    assert torch.equal(switched.plan(seen).remask, expected)


@pytest.mark.parametrize(("t", "sigma"), [(0.3999, 0.3), (0.4, 0.0), (0.4001, 0.0)])
def test_a_switched_rule_is_mdlm_at_its_very_switch(t: float, sigma: float) -> None:
    made = make_strategy("remdm-cap", eta=0.3, when="switch", t_switch=0.4)
    assert float(made.plan(seen_by_hand(t, t - 0.01, 0.6, 0.61, [0.5, torch.nan])).remask[0, 0]) == sigma


@given(data=st.data())
def test_conf_spends_sigma_max_in_all_and_most_where_it_was_least_sure(data: st.DataObject) -> None:
    made = make_strategy("remdm-conf")
    seen = data.draw(view(made))
    sigma = made.plan(seen).remask
    some = seen.revealed.any(-1, keepdim=True)
    torch.testing.assert_close(sigma.sum(-1, keepdim=True), seen.sigma_max * some)
    for row in range(len(sigma)):
        positions = seen.revealed[row].nonzero()[:, 0]
        by_held = positions[seen.held[row, positions].argsort()]
        assert (sigma[row, by_held].diff() <= 1e-15).all()


def seen_by_hand(t: float, s: float, alpha_t: float, alpha_s: float, held: list[float]) -> View:
    """One sequence: NaN held is a mask, the rest is revealed."""
    times = [torch.tensor([[x]], dtype=torch.float64) for x in (t, s, alpha_t, alpha_s)]
    psi = torch.tensor([held], dtype=torch.float64)
    return View(*times, psi.isnan(), ~psi.isnan(), psi)


def test_conf_is_a_softmax_over_minus_what_was_held() -> None:
    """exp(-0.2) = 0.818731 and exp(-0.9) = 0.406570 make shares of 0.668188 and 0.331812 of sigma_max = 0.4 / 0.5."""
    seen = seen_by_hand(0.5, 0.4, 0.5, 0.6, [0.2, torch.nan, 0.9])
    plan = make_strategy("remdm-conf").plan(seen)
    assert plan.remask[0].tolist() == pytest.approx([0.534550, 0.0, 0.265450], abs=1e-6)
    # a mask has no sigma of its own: (0.6 - 0.5) / (1 - 0.5), as in MDLM
    assert float(plan.unmask[0, 1]) == pytest.approx(0.2)
    half = make_strategy("remdm-conf", base="rescale", eta=0.5).plan(seen)
    assert half.remask[0].tolist() == pytest.approx([0.267275, 0.0, 0.132725], abs=1e-6)


@pytest.mark.parametrize(
    ("t", "sigma", "alpha"),
    [
        (0.56, 0.0, 0.44 * 2),  # before the loop MDLM's clock, run 0.9 / 0.45 times as fast
        (0.55, 0.1, 0.9),  # t_on is the loop's first time ...
        (0.3, 0.1, 0.9),
        (0.0500001, 0.1, 0.9),
        (0.05, 0.0, 0.9),  # ... and t_off the first after it
        (0.02, 0.0, 0.96),
    ],
)
def test_the_loop_holds_from_t_on_down_to_t_off_and_not_at_t_off(t: float, sigma: float, alpha: float) -> None:
    made = make_strategy("remdm-loop", eta=0.1, t_on=0.55, t_off=0.05, alpha_on=0.9)
    seen = seen_by_hand(t, t - 0.01, alpha, alpha, [0.5, torch.nan])
    assert float(made.plan(seen).remask[0, 0]) == sigma
    assert float(made.alpha(torch.tensor([[t]], dtype=torch.float64))) == pytest.approx(alpha)


class Sure(Toy):
    """Greedy tokens 1, 2 and 0, of which the network is sure by 0.5, 0.9 and 0.7."""

    def encode(self, tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        p = [[0.1, 0.5, 0.2, 0.1, 0.1], [0.1, 0.0, 0.9, 0.0, 0.0], [0.7, 0.1, 0.1, 0.1, 0.0]]
        logits = torch.tensor(p, dtype=torch.float64).log()
        return torch.nn.functional.pad(logits, (0, 1)).expand(len(tokens), -1, -1)


def test_greedy_low_confidence_reveals_in_the_order_of_the_networks_probabilities() -> None:
    frames = list(Session(Sure(), make_strategy("low-confidence"), steps=3, length=3, temperature=0.0))
    assert [frame.tokens[0].tolist() for frame in frames] == [[MASK, 2, MASK], [MASK, 2, 0], [1, 2, 0]]


def test_forward_backward_leaves_the_range_at_its_last_step_alone_and_says_so() -> None:
    frames = list(Session(Toy(), make_strategy("forward-backward"), steps=16, length=32, batch=4))
    steps = [frame for frame in frames if not frame.final]
    assert [frame.excess > 0 for frame in steps] == [False] * 15 + [True]


def test_a_loop_with_eta_above_its_bound_says_so() -> None:
    """The bound is (1 - alpha_on) / alpha_on, 1/9 at the defaults: above it fewer are masked than are remasked."""
    for eta, expected in ((0.11, False), (0.12, True)):
        loop = make_strategy("remdm-loop", eta=eta)
        frames = list(Session(Toy(), loop, steps=40, length=40, batch=4))
        inside = [f for f in frames if 0.05 < f.t <= 0.55 and f.s >= 0.05 and not f.final]
        assert len(inside) == 20
        assert any(frame.excess > 0 for frame in inside) is expected


@given(
    t_on=st.floats(0.3, 0.99),
    share=st.floats(0.01, 0.95),
    alpha_on=st.floats(0.01, 0.99),
)
def test_the_loop_clock_is_continuous_and_never_falls_as_time_runs_down(
    t_on: float, share: float, alpha_on: float
) -> None:
    t_off = max(0.001, t_on * share)
    loop = make_strategy("remdm-loop", t_on=t_on, t_off=t_off, alpha_on=alpha_on)
    t = torch.linspace(1, 0, 20_001, dtype=torch.float64)
    alpha = loop.alpha(t)
    assert alpha[0] == 0
    assert alpha[-1] == 1
    steepest = max(alpha_on / (1 - t_on), (1 - alpha_on) / t_off) / 20_000
    assert (alpha.diff() >= -1e-12).all()
    assert (alpha.diff() <= steepest + 1e-9).all()
    between = alpha[(t <= t_on) & (t >= t_off)]
    torch.testing.assert_close(between, torch.full_like(between, alpha_on))


@pytest.mark.parametrize("name", REGISTRY)
def test_a_clock_runs_from_nothing_to_everything(name: str) -> None:
    made = make_strategy(name)
    ends = made.alpha(torch.tensor([[1.0], [0.0]], dtype=torch.float64))
    torch.testing.assert_close(ends, torch.tensor([[0.0], [1.0]], dtype=torch.float64))


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("steps", [1, 2, 7, 128])
def test_a_grid_descends_from_one(name: str, steps: int) -> None:
    grid = make_strategy(name).grid(steps)
    assert grid[0] == 1
    assert (np.diff(grid) < 0).all()
    assert grid[-1] >= 0


@pytest.mark.parametrize(
    ("steps", "walked"), [(128, 133), (256, 259), (512, 514), (1024, 1025), (2048, 2048), (4096, 4096)]
)
def test_dfm_walks_as_many_steps_as_the_reference(steps: int, walked: int) -> None:
    assert len(make_strategy("dfm").grid(steps)) - 1 == walked


def test_dfm_stops_where_the_reference_stops() -> None:
    assert round(float(dfm_grid(128)[-1]), 4) == 0.0068
    assert round(float(dfm_grid(4096)[-1]), 5) == 0.00019


def test_forward_backward_takes_back_all_where_nothing_is_revealed_yet() -> None:
    """The limit of its ratio, clamped; a record shows it although no position is there to remask."""
    t, s = torch.ones(1, 1, dtype=torch.float64), torch.full((1, 1), 0.75, dtype=torch.float64)
    none = torch.zeros(1, 1, dtype=torch.bool)
    plan = make_strategy("forward-backward").plan(View(t, s, 1 - t, 1 - s, ~none, none, none.double()))
    assert (plan.unmask.item(), plan.remask.item()) == (0.25, 1.0)


def test_dfm_goes_on_from_a_time_of_exactly_one_step() -> None:
    assert dfm_grid(1).tolist() == [1.0, 0.0]


def test_dfm_stays_a_probability_on_its_own_grid() -> None:
    grid = dfm_grid(64)
    made = make_strategy("dfm")
    t, s = (torch.tensor(times.copy())[:, None] for times in (grid[:-1], grid[1:]))
    masked = torch.ones(len(t), 1, dtype=torch.bool)
    plan = made.plan(View(t, s, 1 - t, 1 - s, masked, masked, masked.double()))
    for p in plan[:2]:
        assert ((p >= 0) & (p <= 1 + 1e-12)).all()


def test_the_next_time_is_the_largest_below_now() -> None:
    grid = uniform_grid(4)
    assert [next_time(grid, now) for now in (1.0, 0.8, 0.75, 0.1, 0.0)] == [0.75, 0.75, 0.5, 0.0, None]


@pytest.mark.parametrize(("length", "steps"), [(8, 4), (12, 12), (24, 6)])
def test_low_confidence_reveals_an_equal_share_at_each_step(length: int, steps: int) -> None:
    frames = list(Session(Toy(), make_strategy("low-confidence"), steps=steps, length=length, batch=3))
    assert len(frames) == steps
    for frame in frames:
        assert ((frame.change == 2).sum(-1) == length // steps).all()


@pytest.mark.parametrize("name", ["low-confidence", "left-to-right"])
@pytest.mark.parametrize(
    ("length", "steps", "shares"), [(10, 4, [3, 3, 2, 2]), (3, 5, [1, 1, 1, 0, 0]), (7, 3, [3, 2, 2])]
)
def test_what_does_not_divide_goes_to_the_first_steps_as_in_llada(
    name: str, length: int, steps: int, shares: list[int]
) -> None:
    session = Session(Toy(), make_strategy(name), steps=steps, length=length)
    assert [frame.count(Change.REVEALED) for frame in session] == shares


@given(data=st.data())
def test_low_confidence_reveals_exactly_the_surest(data: st.DataObject) -> None:
    made = make_strategy("low-confidence")
    seen = data.draw(view(made))
    assert seen.candidates is not None
    chosen = made.plan(seen).unmask > 0
    for row in range(len(chosen)):
        count, t, s = int(seen.masked[row].sum()), float(seen.t[row, 0]), float(seen.s[row, 0])
        assert count * (1 - s / t) - 1e-6 <= int(chosen[row].sum()) < count * (1 - s / t) + 1
        others = seen.masked[row] & ~chosen[row]
        if chosen[row].any() and others.any():
            sure = seen.candidates.confidence[row]
            assert sure[chosen[row]].min() >= sure[others].max()
    assert not (chosen & ~seen.masked).any()


def test_low_confidence_breaks_a_tie_to_the_left() -> None:
    masked = torch.tensor([[True, False, True, True]])
    even = predicted(torch.zeros_like(masked).long(), torch.full((1, 4), 0.5, dtype=torch.float64))
    t, s = (torch.tensor([[x]], dtype=torch.float64) for x in (0.9, 0.6))
    seen = View(t, s, 1 - t, 1 - s, masked, ~masked, torch.ones(1, 4, dtype=torch.float64), even)
    assert make_strategy("low-confidence").plan(seen).unmask.tolist() == [[1, 0, 0, 0]]


def test_an_unknown_strategy_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown strategy 'remdm'") as error:
        make_strategy("remdm")
    for name in REGISTRY:
        assert name in str(error.value)


@pytest.mark.parametrize("name", REGISTRY)
def test_an_unknown_knob_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} has no knob 'etta'") as error:
        make_strategy(name, etta=1)
    known = [info.name for info in knobs(REGISTRY[name])]
    assert all(knob in str(error.value) for knob in known)
    assert known or "it has none" in str(error.value)


@pytest.mark.parametrize("name", REGISTRY)
def test_a_knob_out_of_its_range_says_the_range(name: str) -> None:
    for info in knobs(REGISTRY[name]):
        if info.choices:
            with pytest.raises(
                ValueError, match=f"{info.name} must be one of {re.escape(', '.join(info.choices))}, not 'neither'"
            ):
                make_strategy(name, **{info.name: "neither"})
            continue
        assert info.low is not None
        assert info.high is not None
        for bad in (info.low - 0.5, info.high + 0.5, float("nan")):
            with pytest.raises(ValueError, match=f"{info.name} must lie in {info.low:g} to {info.high:g}"):
                make_strategy(name, **{info.name: bad})
        with pytest.raises(ValueError, match=f"{info.name} must be a number, not 'much'"):
            make_strategy(name, **{info.name: "much"})


def test_a_loop_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match=r"t_off must lie below t_on = 0\.3, not at 0\.4"):
        make_strategy("remdm-loop", t_on=0.3, t_off=0.4)


@pytest.mark.parametrize("name", REGISTRY)
def test_a_strategy_describes_itself_and_is_frozen(name: str) -> None:
    made = make_strategy(name)
    info = describe(REGISTRY[name])
    assert info in catalogue()
    assert info.name == name
    assert info.summary.endswith(".")
    assert info.source
    assert set(info.reads) <= set(READS)
    assert values(made) == {knob.name: knob.default for knob in info.knobs}
    for knob in info.knobs:
        assert knob.doc
        assert knob.check(knob.default) == knob.default
        with pytest.raises(FrozenInstanceError):
            setattr(made, knob.name, knob.default)


@pytest.mark.parametrize("name", REGISTRY)
def test_a_knob_that_needs_another_names_a_choice(name: str) -> None:
    known = {info.name: info for info in knobs(REGISTRY[name])}
    for info in known.values():
        if info.needs is not None:
            assert known[info.needs[0]].choices


BLIND = [name for name in REGISTRY if not reads_of(make_strategy(name))]


def check_blind(made: Strategy) -> None:
    """Raise AssertionError for a plan that looks at more than time and what is masked, though `reads` is empty."""
    t, s = (torch.tensor([[x]], dtype=torch.float64) for x in (0.5, 0.4))
    masked = torch.tensor([[True, False, True, False]])
    rows = torch.tensor([[0.1, 0.9, 0.4, 0.6]], dtype=torch.float64)
    seen = View(t, s, made.alpha(t), made.alpha(s), masked, ~masked, torch.full_like(rows, 0.5))
    shown = predicted(torch.tensor([[1, 2, 3, 1]]), rows)
    more = replace(seen, held=rows, prediction=shown, previous=shown, noise=rows, ahead=rows)
    for blind, informed in zip(made.plan(seen)[:2], made.plan(more)[:2], strict=True):
        assert torch.equal(blind, informed), f"{made.name}: name in `reads` what the plan reads besides time and state"


@pytest.mark.parametrize("name", BLIND)
def test_a_strategy_that_reads_nothing_plans_by_time_and_state_alone(name: str) -> None:
    check_blind(make_strategy(name))


@dataclass(frozen=True)
class EvenFirst(Strategy):
    """Reads nothing: where a position stands, and whether it is masked, is state."""

    name = "even-first"

    def plan(self, view: View) -> Plan:
        even = (view.masked.cumsum(-1) % 2 == 0) & view.masked
        return Plan(even.double(), view.alpha_t * 0)


@dataclass(frozen=True)
class Peeking(Strategy):
    name = "peeking"

    def plan(self, view: View) -> Plan:
        return Plan(view.alpha_s, view.held)


def test_a_rule_by_position_reads_nothing_and_one_that_looks_unasked_is_found_out() -> None:
    check_blind(EvenFirst())
    with pytest.raises(AssertionError, match="name in `reads` what the plan reads"):
        check_blind(Peeking())


def check_from_the_left(made: Strategy) -> None:
    """Raise AssertionError where a token is revealed to the right of a mask, which a causal model cannot predict."""
    for frame in Session(Toy(), made, steps=5, length=12, batch=3):
        masked = frame.masked.astype(int)
        assert (np.diff(masked) >= 0).all(), f"{made.name}: `from_the_left` admits it to causal models, and is not true"


@pytest.mark.parametrize("name", [name for name, kind in REGISTRY.items() if kind.from_the_left])
def test_a_strategy_that_says_so_reveals_from_the_left(name: str) -> None:
    check_from_the_left(make_strategy(name))


def test_a_false_claim_to_go_from_the_left_is_found_out() -> None:
    with pytest.raises(AssertionError, match="admits it to causal models"):
        check_from_the_left(EvenFirst())
