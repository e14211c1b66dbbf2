"""The exact likelihood under a deterministic rule: it sums to one, and equals a plain loop and DUEL's own code."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.metrics.bounds import SUBS, NoisedBatch, noised_nats
from engine.metrics.likelihood import likelihood
from engine.metrics.rule_likelihood import DecodingRule, rule_scores
from engine.models import load_model
from engine.models.protocol import Denoiser
from engine.strategies import Plan, Strategy, View, knob, make_strategy
from tests.engine.toys import MASK, TOKENS, RowToy, TimedToy, Toy
from tests.engine.zoo import MASK_BIAS, ZooToy, all_settings, published, spelled, weights

LENGTH = 4
ALL = torch.tensor(list(itertools.product(range(TOKENS), repeat=LENGTH)))


@dataclass(frozen=True)
class Steadiest(Strategy):
    """The mask whose distribution has moved least since the last step, which only a memory can tell."""

    name = "test-steadiest"
    summary, source = "", ""
    reads = frozenset({"masked", "divergence", "previous"})

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        moved = view.prediction.divergence.where(view.masked, torch.inf)
        one = torch.nn.functional.one_hot(moved.argmin(-1), moved.shape[-1]).bool()
        # the first distributions are as far from nothing everywhere: the leftmost goes
        first = view.masked & (view.masked.cumsum(-1) == 1)
        return Plan(torch.where(moved.isfinite().any(-1, keepdim=True), one, first).double(), view.alpha_t * 0)


RULES = {
    "surest first": DecodingRule(make_strategy("low-confidence")),
    "two at a time": DecodingRule(make_strategy("low-confidence"), steps=2),
    "three, then one": DecodingRule(make_strategy("low-confidence", k=3)),
    "two, then one of a block": DecodingRule(make_strategy("left-to-right", k=2), steps=4, block_length=3),
    "in blocks": DecodingRule(make_strategy("low-confidence"), steps=4, block_length=2),
    "left to right": DecodingRule(make_strategy("left-to-right"), steps=3),
    "margin": DecodingRule(make_strategy("topk-margin")),
    "threshold": DecodingRule(make_strategy("threshold", threshold=0.3)),
    "left to the clean-up": DecodingRule(make_strategy("threshold", threshold=0.99), steps=2),
    "divergence": DecodingRule(Steadiest()),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("model", [Toy, RowToy, TimedToy])
def test_all_texts_together_have_probability_one(rule: DecodingRule, model: type[Toy]) -> None:
    found = rule_scores(model(), rule, ALL, batch=125)
    assert np.exp(-found.nats).sum() == pytest.approx(1, abs=1e-6)


def plain(model: Toy, text: Tensor, choose: Any) -> tuple[float, int]:
    """Return (log p, network calls) of one text, token by token and in float64."""
    state, total, calls = torch.full_like(text, MASK), 0.0, 0
    while bool((state == MASK).any()):
        logits = model.project(model.encode(state[None], torch.zeros(1)))[0, :, :TOKENS].double()
        p = torch.softmax(logits, -1)
        masks = [i for i in range(len(text)) if state[i] == MASK]
        for i in choose(p, masks):
            total += math.log(p[i, text[i]])
            state[i] = text[i]
        calls += 1
    return total, calls


CHOICES = {
    "surest first": lambda p, masks: [max(masks, key=lambda i: (p[i].max().item(), -i))],
    "two at a time": lambda p, masks: sorted(masks, key=lambda i: (-p[i].max().item(), i))[:2],
    "margin": lambda p, masks: [max(masks, key=lambda i: p[i].topk(2).values.diff().neg().item())],
    "threshold": lambda p, masks: (
        {max(masks, key=lambda i: p[i].max().item())} | {i for i in masks if p[i].max() >= 0.3}
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_equals_a_plain_loop_over_one_text(name: str) -> None:
    some = ALL[::37]
    found = rule_scores(Toy(), RULES[name], some)
    expected = [plain(Toy(), text, CHOICES[name]) for text in some]
    assert -found.nats == pytest.approx(np.array([log_p for log_p, _ in expected]), abs=1e-5)
    assert found.calls.tolist() == [calls for _, calls in expected]


# -- what the authors' code gave

NAMED = {
    "GreedyConfidenceStrategy": lambda k: make_strategy("low-confidence", k=k),
    "LeftToRightStrategy": lambda k: make_strategy("left-to-right", k=k),
    "ProbabilityMarginStrategy": lambda k: make_strategy("topk-margin", k=k),
    "ConfidenceThresholdStrategy": lambda p: make_strategy("threshold", threshold=p),
    "BlockConfidenceThresholdStrategy": lambda p: make_strategy("threshold", threshold=p),
    "BlockGreedyConfidenceStrategy": lambda k: make_strategy("low-confidence", k=k),
}


def published_texts() -> list[Any]:
    """Return the runs over one text; those of `large_scale` generate."""
    return [
        pytest.param(one, id=f"{one['strategy']}-{one.get('block_size', 16)}-{one['k']}-{one['text'][:2]}")
        for one in published("duel")
        if "text" in one
    ]


@pytest.mark.parametrize("run", published_texts())
def test_equals_what_the_authors_code_gave(run: dict[str, Any]) -> None:
    # so many steps that a block has one for each of its positions
    rule = DecodingRule(NAMED[run["strategy"]](run["k"]), 64, run.get("block_size"))
    found = rule_scores(ZooToy(), rule, torch.tensor([run["text"]]))
    assert -found.nats[0] == pytest.approx(run["log_likelihood"], abs=1e-4)
    assert found.calls.tolist() == [run["calls"]]
    text, order = np.array(run["text"]), found.step[0]
    steps = [-1, *sorted(set(order.tolist()))]
    assert [spelled(np.where(order <= step, text, ZooToy.mask_id)) for step in steps] == run["states"]


class Later(ZooToy):
    """The published toy from a place on: position 0 is its place `first`."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = first

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        ids, here = tokens.numpy(), slice(self._first, self._first + tokens.shape[1])
        out = np.repeat(weights()["place"][None, here], len(ids), 0)
        out[:, :, self.mask_id] += MASK_BIAS
        for j in range(tokens.shape[1]):
            out += weights()["pair"][here, self._first + j][:, ids[:, j]].swapaxes(0, 1)
        return torch.from_numpy(out.astype(np.float32))


@pytest.mark.parametrize("run", [one for one in all_settings("duel") if "alone" in one], ids=["threshold", "in blocks"])
def test_a_batch_gives_each_text_what_it_has_alone(run: dict[str, Any]) -> None:
    """In the authors' code a text that reveals fewer positions than another of its batch loses a reveal."""
    rule = DecodingRule(make_strategy("threshold", threshold=run["k"]), 64, run.get("block_size"))
    texts = torch.tensor(run["texts"])
    found = rule_scores(Later(5), rule, texts, batch=len(texts))
    assert -found.nats == pytest.approx(np.array(run["alone"]), abs=1e-4)
    assert np.abs(-found.nats - run["batch"]).max() > 0.5
    assert len(set(found.calls.tolist())) > 1
    assert rule_scores(Later(5), rule, texts, batch=4).nats == pytest.approx(found.nats, abs=1e-9)


# -- costs and refusals


def test_the_network_is_called_once_a_step() -> None:
    model = Toy()
    found = rule_scores(model, RULES["two at a time"], ALL[:6], batch=3)
    assert found.calls.tolist() == [2] * 6
    assert model.encoded == 12


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ("mdlm", "mdlm reveals by chance"),
        ("credit", "credit draws from other logits than the network's"),
        ("slow-fast", "slow-fast shows the network a part of the text"),
        ("remdm-loop", "remdm-loop .*, so that no text has an exact likelihood: choose low-confidence or "),
        ("forward-backward", "forward-backward reveals by chance|forward-backward masks"),
    ],
)
def test_a_strategy_that_is_no_rule_is_refused_by_name(strategy: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rule_scores(Toy(), DecodingRule(make_strategy(strategy)), ALL[:2])


def test_a_choice_by_noise_is_no_rule_though_its_plan_is_certain() -> None:
    with pytest.raises(ValueError, match="low-confidence reveals by chance"):
        rule_scores(Toy(), DecodingRule(make_strategy("low-confidence", alg_temp=0.5)), ALL[:2])


def test_bad_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows hold the mask"):
        rule_scores(Toy(), RULES["margin"], torch.full((1, LENGTH), MASK))
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        rule_scores(Toy(), RULES["margin"], ALL, batch=0)


# -- the bound


@dataclass(frozen=True)
class Ordered(Strategy):
    """One token a step in an order that a number names, out of all length! ones."""

    name = "test-ordered"
    summary, source = "", ""
    number: int = knob(0, "", 0)

    def plan(self, view: View) -> Plan:
        number, free, order = self.number, list(range(view.masked.shape[1])), list[int]()
        while free:
            number, at = divmod(number, len(free))
            order.append(free.pop(at))
        waits = torch.tensor(order).expand_as(view.masked).masked_fill(~view.masked, len(order))
        return Plan((waits == waits.amin(-1, keepdim=True)).double() * view.masked, view.alpha_t * 0)


def over_orders(model: Denoiser, rows: Tensor, numbers: Sequence[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return nats a token under the orders of these numbers, [orders, N]."""
    found = [rule_scores(model, DecodingRule(Ordered(number=number)), rows).nats for number in numbers]
    return np.stack(found) / rows.shape[1]


def expected_bound(model: Denoiser, rows: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the bound of rows [N, L] averaged over all numbers and places of masks, nats a token."""
    length, sizes = rows.shape[1], []
    for size in range(1, length + 1):
        terms = []
        for chosen in itertools.combinations(range(length), size):
            masked = torch.zeros_like(rows, dtype=torch.bool)
            masked[:, list(chosen)] = True
            share = torch.full((len(rows),), size / length, dtype=torch.float64)
            terms.append(
                noised_nats(SUBS, model, rows, NoisedBatch(rows.masked_fill(masked, MASK), masked, share, share))
            )
        sizes.append(torch.stack(terms).mean(0))
    return torch.stack(sizes).mean(0).numpy()


def test_the_bound_is_the_mean_over_all_orders() -> None:
    rows = ALL[::100]
    exact = over_orders(Toy(), rows, range(math.factorial(LENGTH)))
    bound = expected_bound(Toy(), rows)
    assert exact.mean(0) == pytest.approx(bound, abs=1e-5)
    # a surest-first order is another distribution, and no mean of orders bounds it
    assert (rule_scores(Toy(), RULES["surest first"], rows).nats / LENGTH > bound).any()


def test_the_bound_holds_on_the_demo_model() -> None:
    """It bounds the likelihood under an order that is drawn, of which the orders tried are a sample."""
    model = load_model("demo", "cpu", "float32")
    rows = torch.tensor(model.codec.encode("The old man said that he would go down to the sea in the morning.")[:12])
    numbers = random.Random(0).sample(range(math.factorial(len(rows))), 24)
    exact = over_orders(model, rows[None], numbers)[:, 0]
    bound = likelihood(model, rows[None].repeat(48, 1), batch=48).nats.value
    drawn = -np.log(np.exp(-exact * len(rows)).mean()) / len(rows)
    assert drawn < bound
    assert exact.mean() == pytest.approx(bound, rel=0.05)
