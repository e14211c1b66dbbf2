"""The entropy-bounded sampler, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.strategies.views import moving, spelled, view
from tests.engine.toys import Toy
from tests.engine.zoo import MASK, ZooToy, states
from tests.engine.zoo import spelled as state_of


@pytest.mark.parametrize(
    ("gamma", "revealed"),
    [
        (0.0, "--+--"),  # the first is free: it is the largest
        (0.049, "--+--"),
        (0.05, "+-+--"),  # .05 and .06 spend .05
        (0.11, "+-+-+"),  # and .07 spends .11
        (0.17, "+-+-+"),
        (0.18, "+++-+"),  # and .3 spends .18
        (9.0, "+++-+"),
    ],
)
def test_the_longest_prefix_within_the_budget_is_revealed(gamma: float, revealed: str) -> None:
    made = make_strategy("eb", gamma=gamma)
    plan = made.plan(view(made, "___1_", entropy=[0.06, 0.3, 0.05, 0.0, 0.07]))
    assert spelled(plan, "___1_") == revealed


@pytest.mark.parametrize(
    ("knobs", "revealed"),
    [
        # by confidence 2, 0, 1: entropies .3, .1 and .4 spend 0, .1 and .4
        ({"order": "confidence", "gamma": 0.2}, "+-+"),
        # by margin 1, 2, 0: entropies .4, .3 and .1 spend 0, .3 and .4
        ({"order": "margin", "gamma": 0.35}, "-++"),
    ],
)
def test_another_order_spends_the_same_entropies(knobs: dict[str, Any], revealed: str) -> None:
    made = make_strategy("eb", **knobs)
    plan = made.plan(view(made, "___", entropy=[0.1, 0.4, 0.3], top_p=[0.8, 0.7, 0.9], margin=[0.1, 0.3, 0.2]))
    assert spelled(plan, "___") == revealed


def test_equal_entropies_go_from_the_left() -> None:
    made = make_strategy("eb", gamma=0.25)
    assert spelled(made.plan(view(made, "____", entropy=[0.3, 0.2, 0.2, 0.2])), "____") == "-++-"


class Coins(Toy):
    """Two tokens at every position, the second with probability q."""

    q = (0.5, 0.1, 0.02)

    def encode(self, tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        p = torch.tensor([[1 - q, q, 0, 0, 0] for q in self.q], dtype=torch.float64)
        return torch.nn.functional.pad(p.log(), (0, 1)).expand(len(tokens), -1, -1)


def test_the_budget_is_held_to_the_networks_own_entropies() -> None:
    h = [-(q * math.log(q) + (1 - q) * math.log(1 - q)) for q in Coins.q]
    below, above = (make_strategy("eb", gamma=h[2] + nudge) for nudge in (-1e-9, 1e-9))
    order = [[frame.tokens[0] != 5 for frame in Session(Coins(), one, steps=3, length=3)] for one in (below, above)]
    assert [state.tolist() for state in order[0]] == [
        [False, False, True],
        [False, True, True],
        [True, True, True],
    ]
    assert order[1][0].tolist() == [False, True, True]


@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.5, 2.0])
def test_it_steps_through_the_states_of_the_published_loop(gamma: float) -> None:
    ours = states(make_strategy("eb", gamma=gamma), steps=16, length=18, prompt=[3, 7])
    model, tokens = ZooToy(), torch.tensor([[3, 7] + [MASK] * 16])
    theirs = [state_of(tokens[0])]
    while (tokens[0] == MASK).any():
        p = torch.softmax(model.project(model.encode(tokens, torch.zeros(1)))[0].double(), -1)
        entropy = torch.special.entr(p).sum(-1)
        order = sorted((i for i in range(18) if tokens[0, i] == MASK), key=lambda i: float(entropy[i]))
        count, spent = 1, float(entropy[order[0]])
        while count < len(order) and spent <= gamma:  # all but the largest, which is the last
            spent += float(entropy[order[count]])
            count += 1
        for i in order[:count]:
            tokens[0, i] = p[i].argmax()
        theirs.append(state_of(tokens[0]))
    assert moving(ours) == theirs
