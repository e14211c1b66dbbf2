"""Factor decoding: by hand, and through the states of dInfer's code."""

from __future__ import annotations

from typing import Any

import pytest

from engine.strategies import make_strategy
from tests.engine.strategies.views import moving, spelled, view
from tests.engine.zoo import published, states


@pytest.mark.parametrize(
    ("sure", "factor", "as_published", "revealed"),
    [
        # bounds at ranks 2, 3 and 4: 2/3, 3/4 and 4/5
        ([0.7, 0.9, 0.8, 0.6], 1.0, "no", "-++-"),
        ([0.75, 0.9, 0.8, 0.6], 1.0, "no", "+++-"),
        ([0.75, 0.9, 0.8, 0.6], 1.0, "yes", "++++"),  # the last rank alone fails
        ([0.7, 0.9, 0.8, 0.6], 1.0, "yes", "-++-"),  # two fail
        ([0.1, 0.2, 0.2, 0.1], 1.0, "no", "-+--"),  # the first always
        ([0.1, 0.2, 0.2, 0.1], 1.0, "yes", "-+--"),
        # bounds 1/3, 1/2 and 3/5
        ([0.1, 0.2, 0.35, 0.3], 2.0, "no", "--+-"),
        ([0.6, 0.6, 0.6, 0.6], 2.0, "no", "++++"),
    ],
)
def test_ranks_are_revealed_up_to_the_first_that_is_not_sure_enough(
    sure: list[float], factor: float, as_published: str, revealed: str
) -> None:
    made = make_strategy("factor", factor=factor, as_published=as_published)
    assert spelled(made.plan(view(made, "____", confidence=sure)), "____") == revealed


@pytest.mark.parametrize("as_published", ["no", "yes"])
def test_what_is_not_masked_has_no_rank(as_published: str) -> None:
    made = make_strategy("factor", as_published=as_published)
    state = "9_.__"
    plan = made.plan(view(made, state, confidence=[1.0, 0.1, 1.0, 0.9, 0.2]))
    assert spelled(plan, state) == "---+-"
    alone = "9_.99"
    assert spelled(made.plan(view(made, alone, confidence=[1.0, 0.1, 1.0, 0.9, 0.2])), alone) == "-+---"


def steps_of(run: dict[str, Any], as_published: str) -> list[str]:
    length = len(run["prompt"]) + run["gen_length"]
    made = make_strategy("factor", factor=run["factor"], as_published=as_published)
    return moving(
        states(made, steps=run["gen_length"], length=length, prompt=run["prompt"], block_length=run["block_length"])
    )


def named(run: dict[str, Any]) -> str:
    return f"factor {run['factor']}, blocks of {run['block_length']}"


@pytest.mark.parametrize("run", published("factor"), ids=named)
def test_it_steps_through_the_states_of_dinfer(run: dict[str, Any]) -> None:
    assert steps_of(run, "yes") == run["states"]


def test_the_last_rank_is_revealed_by_the_fault_alone() -> None:
    """At factor 0 two masks are left before the last published step; as meant they go one after the other."""
    run = next(run for run in published("factor") if run["factor"] == 0)
    ours = steps_of(run, "no")
    assert ours[:-2] == run["states"][:-1]
    assert ours[-2].count("_") == 1
