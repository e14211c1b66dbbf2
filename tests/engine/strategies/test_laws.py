"""Rules that read the network have the joint law of the dense update, and other knobs have another."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.session import Session
from engine.strategies import Strategy, make_strategy
from tests.engine.stats import ENOUGH, FAR_OFF, outcome, same_distribution
from tests.engine.toys import MASK, Toy

COUNT, LENGTH, STEPS = 5_000, 4, 4


def ours(made: Strategy, **settings: Any) -> Any:
    session = Session(Toy(), made, steps=STEPS, length=LENGTH, batch=COUNT, seed=3, **settings)
    return outcome(*(frame.tokens for frame in session if not frame.final), base=MASK + 1)


def dense(made: Strategy, **settings: Any) -> Any:
    tokens, held = torch.full((COUNT, LENGTH), MASK), torch.full((COUNT, LENGTH), torch.nan, dtype=torch.float64)
    bound, noise, memory, states = Settings(made.name, **settings), torch.Generator().manual_seed(5), None, []
    for times in pairwise(made.grid(STEPS).tolist()):
        t, s = (torch.full((COUNT, 1), time, dtype=torch.float64) for time in times)
        tokens, held, memory = oracle.step(Toy(), made, bound, tokens, held, t, s, noise, memory=memory)
        states.append(tokens.numpy())
    return outcome(*states, base=MASK + 1)


@pytest.mark.parametrize(
    ("name", "knobs", "others"),
    [
        ("threshold", {"threshold": 0.5}, {"threshold": 0.6}),
        ("factor", {"factor": 0.5}, {"factor": 0.5, "as_published": "yes"}),
        ("eb", {"gamma": 1.0}, {"gamma": 1.4}),
        ("klass", {"confidence": 0.2, "kl": 0.1}, {"confidence": 0.2, "kl": 1.0, "history": 1}),
        ("saber", {"n": 2}, {"n": 1}),
        ("hierarchy", {"remask": 0.4}, {"remask": 0.3}),
        ("pc-sampler", {"decay": 0.1, "cap": 10}, {"decay": 0.3, "cap": 10}),
        ("slow-fast", {"explore": 1}, {"explore": 1, "reach": 0.6}),
        ("credit", {"threshold": 0.6, "weight": 2.0}, {"threshold": 0.6, "weight": 1.0}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_trajectories_are_distributed_as_the_dense_update_and_other_knobs_are_not(
    name: str, knobs: dict[str, Any], others: dict[str, Any]
) -> None:
    settings = {"top_p": 0.95, "temperature": 1.3}
    found = ours(make_strategy(name, **knobs), **settings)
    assert same_distribution(found, dense(make_strategy(name, **knobs), **settings)) > ENOUGH
    assert same_distribution(found, dense(make_strategy(name, **others), **settings)) < FAR_OFF
