"""The fast path against the dense update: the same law of one step, and of whole trajectories."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.session import Session, config_of
from engine.sampling.state import SamplerState
from engine.sampling.step import Stepper
from engine.strategies import REGISTRY, Strategy, View, make_strategy, reads_of
from tests.engine.stats import ENOUGH, FAR_OFF, follows, outcome, same_distribution
from tests.engine.toys import MASK, RowToy, TimedToy, Toy

COUNT, LENGTH, STEPS = 8000, 3, 4
LIVELY = {
    "remdm-cap": {"eta": 0.3},
    "remdm-rescale": {"eta": 0.6},
    "remdm-loop": {"eta": 0.2, "t_on": 0.8, "t_off": 0.2, "alpha_on": 0.6},
}
"""Knobs at which a strategy remasks often in four steps."""


def lively(name: str) -> Strategy:
    return make_strategy(name, **LIVELY.get(name, {}))


def fast(model: Toy, strategy: Strategy, **settings: Any) -> NDArray[np.int64]:
    """Outcome numbers of whole trajectories by the engine, [COUNT]."""
    session = Session(model, strategy, steps=STEPS, length=LENGTH, batch=COUNT, seed=11, **settings)
    return outcome(*(frame.tokens for frame in session if not frame.final), base=MASK + 1)


def dense(model: Toy, strategy: Strategy, **settings: Any) -> NDArray[np.int64]:
    """Outcome numbers of whole trajectories by the oracle, [COUNT]."""
    bound = Settings(strategy.name, **settings)
    tokens = torch.full((COUNT, LENGTH), MASK)
    held = torch.full((COUNT, LENGTH), torch.nan, dtype=torch.float64)
    noise = torch.Generator().manual_seed(12)
    states, memory = [], None
    for times in pairwise(strategy.grid(STEPS).tolist()):
        t, s = (torch.full((COUNT, 1), time, dtype=torch.float64) for time in times)
        tokens, held, memory = oracle.step(model, strategy, bound, tokens, held, t, s, noise, memory=memory)
        states.append(tokens.numpy())
    return outcome(*states, base=MASK + 1)


@pytest.mark.parametrize("name", REGISTRY)
def test_trajectories_are_distributed_as_the_dense_update(name: str) -> None:
    strategy = lively(name)
    assert same_distribution(fast(Toy(), strategy), dense(Toy(), strategy)) > ENOUGH


@pytest.mark.parametrize(
    "settings",
    [
        {"top_p": 0.6, "nucleus": "inclusive"},
        {"top_p": 0.6, "nucleus": "exclusive"},
        {"top_p": 1.0, "temperature": 0.7},
        {"draw": "gumbel-float64"},
    ],
    ids=str,
)
def test_trajectories_have_that_distribution_under_every_setting(settings: dict[str, Any]) -> None:
    strategy = lively("remdm-cap")
    assert same_distribution(fast(RowToy(), strategy, **settings), dense(Toy(), strategy, **settings)) > ENOUGH


def test_trajectories_have_that_distribution_when_the_model_takes_the_noise_level() -> None:
    strategy = lively("remdm-loop")
    assert same_distribution(fast(TimedToy(), strategy), dense(TimedToy(), strategy)) > ENOUGH


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ((make_strategy("mdlm"), {}), (make_strategy("remdm-cap", eta=0.1), {})),
        ((make_strategy("mdlm"), {"top_p": 0.9}), (make_strategy("mdlm"), {"top_p": 0.8})),
        ((make_strategy("mdlm"), {"nucleus": "exclusive"}), (make_strategy("mdlm"), {"nucleus": "inclusive"})),
        ((make_strategy("mdlm"), {}), (make_strategy("mdlm"), {"temperature": 1.15})),
    ],
    ids=["strategy", "top_p", "nucleus", "temperature"],
)
def test_another_distribution_is_distinguished(ours: tuple[Strategy, Any], theirs: tuple[Strategy, Any]) -> None:
    assert same_distribution(fast(Toy(), ours[0], **ours[1]), dense(Toy(), theirs[0], **theirs[1])) < FAR_OFF


class Split(Toy):
    """A toy whose surest position is another one once its law is sharpened, whatever the context."""

    def __init__(self) -> None:
        super().__init__()
        sharp, split, between = (
            [0.4, 0.15, 0.15, 0.15, 0.15],
            [0.45, 0.44, 0.05, 0.03, 0.03],
            [0.42, 0.3, 0.2, 0.05, 0.03],
        )
        self.place[:LENGTH, :MASK] = torch.tensor([sharp, split, between]).log()
        self.left, self.whole = self.left * 0.02, self.whole * 0.02


TEMPERED = [{"temperature": temperature, "top_p": top_p} for temperature in (0.5, 0.05) for top_p in (1.0, 0.7)]


@pytest.mark.parametrize("settings", TEMPERED, ids=str)
def test_low_confidence_is_distributed_as_the_dense_update_at_any_temperature(settings: dict[str, Any]) -> None:
    strategy = make_strategy("low-confidence")
    assert same_distribution(fast(Split(), strategy, **settings), dense(Split(), strategy, **settings)) > ENOUGH


@pytest.mark.parametrize("settings", TEMPERED, ids=str)
def test_a_rank_by_the_tempered_probability_is_distinguished(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy, real = make_strategy("low-confidence"), oracle.denoised
    tempered = Settings("low-confidence", temperature=settings["temperature"], top_p=1.0)
    # the oracle asks at temperature 1 for what it ranks by
    monkeypatch.setattr(
        oracle, "denoised", lambda model, tokens, requested, alpha: real(model, tokens, tempered, alpha)
    )
    assert same_distribution(fast(Split(), strategy, **settings), dense(Split(), strategy, **settings)) < FAR_OFF


def test_another_model_is_distinguished() -> None:
    strategy = make_strategy("mdlm")
    assert same_distribution(fast(Toy(), strategy), dense(TimedToy(), strategy)) < FAR_OFF


@pytest.mark.parametrize("name", [name for name, kind in REGISTRY.items() if reads_of(kind) <= {"held"}])
@pytest.mark.parametrize("nucleus", ["exclusive", "inclusive"])
def test_one_step_has_the_distribution_written_down(name: str, nucleus: str) -> None:
    """Every position of one mixed state, against q(z_s | z_t) as the dense table has it."""
    model, strategy, length = Toy(), lively(name), 4
    settings = config_of(strategy, Settings(name, top_p=0.7, nucleus=nucleus))
    tokens = torch.tensor([2, MASK, 0, MASK]).repeat(COUNT, 1)
    held = torch.tensor([0.9, torch.nan, 0.2, torch.nan], dtype=torch.float64).repeat(COUNT, 1)
    t, s = (torch.full((COUNT, 1), time, dtype=torch.float64) for time in (0.6, 0.4))
    alpha_t, alpha_s = strategy.alpha(t), strategy.alpha(s)
    one = slice(0, 1)
    masked = tokens == MASK
    seen = View(t[one], s[one], alpha_t[one], alpha_s[one], masked[one], ~masked[one], held[one])
    probabilities = oracle.dense_probabilities(
        model, tokens[one], strategy.plan(seen), settings.settings, alpha_t[one]
    )[0].numpy()
    np.testing.assert_allclose(probabilities.sum(-1), 1)

    state = SamplerState(tokens, held, torch.zeros_like(masked), list(range(COUNT)))
    stepper = Stepper(model, 5)
    decision, _ = stepper.decide(settings, state, [0] * COUNT, t, s)
    stepper.apply(settings, state, decision.flips, [0] * COUNT, alpha_t)
    for position in range(length):
        counts = np.bincount(state.tokens[:, position].numpy(), minlength=MASK + 1)
        assert follows(counts, probabilities[position]) > ENOUGH


def test_the_oracle_never_touches_what_a_plan_leaves_alone() -> None:
    strategy = make_strategy("mdlm")
    tokens = torch.tensor([[1, 2, 3]])
    t, s = (torch.full((1, 1), time, dtype=torch.float64) for time in (0.6, 0.4))
    held = torch.full((1, 3), 0.5, dtype=torch.float64)
    noise = torch.Generator().manual_seed(0)
    new, kept, _ = oracle.step(Toy(), strategy, Settings("mdlm"), tokens, held, t, s, noise)
    assert torch.equal(new, tokens)
    assert torch.equal(kept, held)
