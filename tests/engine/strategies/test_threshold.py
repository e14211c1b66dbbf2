"""Threshold decoding: by hand, and through the states and laws of Fast-dLLM's own code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.stats import ENOUGH, FAR_OFF, same_distribution
from tests.engine.strategies.views import moving, spelled, view
from tests.engine.zoo import ZooToy, published, sampled, states
from tests.engine.zoo import spelled as state_of


@pytest.mark.parametrize(
    ("knobs", "revealed"),
    [
        ({}, "+--+-"),  # .95 and .9 reach .9
        ({"threshold": 0.96}, "+----"),  # none does: the surest
        ({"threshold": 0.5}, "+--++"),
        ({"threshold": 0.96, "rule": "dinfer"}, "+---+"),  # .949995 is within 1e-5 of .95
    ],
)
def test_what_reaches_the_threshold_is_revealed_and_the_surest_at_least(knobs: dict[str, Any], revealed: str) -> None:
    made = make_strategy("threshold", **knobs)
    last = 0.949995 if knobs.get("rule") else 0.5
    state = "__3__"
    plan = made.plan(view(made, state, confidence=[0.95, 0.1, 0.99, 0.9, last]))
    assert spelled(plan, state) == revealed


def test_of_the_equally_sure_the_leftmost_is_revealed() -> None:
    made = make_strategy("threshold")
    assert spelled(made.plan(view(made, "___", confidence=[0.3, 0.4, 0.4])), "___") == "-+-"


def named(run: dict[str, Any]) -> str:
    names = ("threshold", "steps", "block_length", "temperature")
    return ", ".join(f"{name} {run[name]}" for name in names if name in run)


# without a threshold the file's runs are LLaDA's own rule
@pytest.mark.parametrize("run", published("fastdllm"), ids=named)
def test_it_steps_through_the_states_of_fast_dllm(run: dict[str, Any]) -> None:
    threshold = run["threshold"]
    made = make_strategy("low-confidence") if threshold is None else make_strategy("threshold", threshold=threshold)
    length = len(run["prompt"]) + run["gen_length"]
    ours = states(
        made, steps=run["steps"] if threshold is None else run["gen_length"], length=length,
        prompt=run["prompt"], block_length=run["block_length"],
    )  # fmt: skip
    assert moving(ours) == run["states"]


@pytest.mark.parametrize("run", sampled("fastdllm"), ids=named)
def test_one_step_above_temperature_0_has_the_distribution_of_fast_dllm(run: dict[str, Any]) -> None:
    (law,) = run["laws"]
    made = make_strategy("threshold", threshold=run["threshold"])
    outcomes = list(law["counts"])
    theirs = np.repeat(np.arange(len(outcomes) + 1), [*law["counts"].values(), law["other"]])

    def ours(temperature: float) -> Any:
        session = Session(
            ZooToy(), made, steps=6, length=2 + run["length"], batch=law["n"], seed=1, prompt=run["prompt"], top_p=1.0,
            temperature=temperature,
        )  # fmt: skip
        found = [state_of(tokens) for tokens in next(session).tokens]
        return np.array([outcomes.index(one) if one in outcomes else len(outcomes) for one in found])

    assert same_distribution(theirs, ours(run["temperature"])) > ENOUGH
    assert same_distribution(theirs, ours(run["temperature"] + 0.3)) < FAR_OFF


def test_the_network_is_not_called_once_all_is_revealed() -> None:
    model = ZooToy()
    states(make_strategy("threshold", threshold=0.0), model=model, steps=16, length=18, prompt=[3, 7])
    assert len(model.seen) == 1
