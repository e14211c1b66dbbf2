"""The entropy-bounded sampler, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.strategies.views import spelled, view
from tests.engine.toys import Toy


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
