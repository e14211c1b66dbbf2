"""The likelihood of a continuation: sums to one by a rule, and the Monte Carlo bound is that of a plain loop."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from engine.metrics.continuation import by_chain_rule, by_rule, is_rule, monte_carlo
from engine.metrics.likelihood import sequence_nats
from engine.metrics.rule_likelihood import DecodingRule
from engine.models import load_model
from engine.sampling.batch import sample
from engine.strategies import make_strategy
from tests.engine.toys import MASK, TOKENS, TimedToy, Toy

CONTEXT = [3, 1]
ROWS = [[*CONTEXT, *rest] for rest in itertools.product(range(TOKENS), repeat=3)]


@pytest.mark.parametrize("name", ["low-confidence", "left-to-right", "threshold"])
def test_the_continuations_of_a_context_sum_to_one(name: str) -> None:
    found = by_rule(Toy(), DecodingRule(make_strategy(name)), ROWS, len(CONTEXT))
    assert math.fsum(math.exp(one.value) for one in found) == pytest.approx(1)


def test_the_greedy_continuation_is_the_one_that_the_sampler_draws_at_temperature_0() -> None:
    strategy = make_strategy("low-confidence")
    found = by_rule(Toy(), DecodingRule(strategy), ROWS, len(CONTEXT))
    drawn = sample(Toy(), strategy, steps=3, length=5, prompt=CONTEXT, temperature=0.0)[0].tolist()
    assert [row for row, one in zip(ROWS, found, strict=True) if one.is_greedy] == [drawn]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("low-confidence", True), ("left-to-right", True), ("mdlm", False), ("remdm-cap", False), ("p2", False)],
)
def test_strategies_that_draw_or_remask_are_no_rules(name: str, expected: bool) -> None:
    assert is_rule(Toy(), DecodingRule(make_strategy(name))) is expected


def expected_bound(row: list[int], given: int) -> float:
    """The bound with its expectation computed: every number of masks, and every set of as many."""
    model, length = TimedToy(), len(row) - given
    terms = []
    for count in range(1, length + 1):
        for places in itertools.combinations(range(given, len(row)), count):
            noised = torch.tensor([[MASK if at in places else token for at, token in enumerate(row)]])
            logits = model.project(model.encode(noised, torch.tensor([0.0])))[0].double()
            logits[:, MASK] = -torch.inf
            p = logits.log_softmax(-1)
            terms.append((count, length / count * sum(float(p[at, row[at]]) for at in places)))
    means = [[value for n, value in terms if n == count] for count in range(1, length + 1)]
    return sum(sum(values) / len(values) for values in means) / length


class Untimed(TimedToy):
    """The toy at noise level 0, whatever it is given."""

    def encode(self, tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return super().encode(tokens, torch.zeros_like(t))


@pytest.mark.parametrize("row", [[3, 1, 0, 2, 4], [0, 0]])
@pytest.mark.parametrize("given", [0, 1])
def test_the_monte_carlo_bound_has_the_expectation_of_a_plain_loop(row: list[int], given: int) -> None:
    found = monte_carlo(Untimed(), row, given, 7, seed=1, draws=6000, batch=500)
    assert found == pytest.approx(expected_bound(row, given), abs=0.05)


def test_the_draws_depend_on_number_and_seed_and_not_on_the_batch() -> None:
    row = [3, 1, 0, 2, 4]
    values = [monte_carlo(Toy(), row, 2, 5, seed=1, batch=batch) for batch in (1, 3, 128)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-6)
    others = [monte_carlo(Toy(), row, 2, number, seed=seed) for number, seed in ((6, 1), (5, 2))]
    assert values[0] not in others
    assert others[0] != others[1]


def test_a_causal_model_has_the_chain_rule() -> None:
    model = load_model("demo-ar", device="cpu")
    ids = model.codec.encode("The old man went down to the river and sat by it.")
    nats, scored = sequence_nats(model, torch.tensor([ids]), [0])
    whole = by_chain_rule(model, ids, 0)
    assert whole.value == pytest.approx(-nats[0] * scored, rel=1e-6)
    parts = by_chain_rule(model, ids[:6], 0).value + by_chain_rule(model, ids, 6).value
    assert parts == pytest.approx(whole.value, rel=1e-5)
    with torch.inference_mode():
        hidden = model.encode(torch.tensor([ids]), torch.zeros(1))
        best = model.project(hidden[0, 6:7]).clone()
        best[:, model.mask_id] = -torch.inf
    assert by_chain_rule(model, [*ids[:6], int(best.argmax())], 6).is_greedy
