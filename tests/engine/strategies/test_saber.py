"""Saber: by hand, and through the states of its authors' code."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.strategies.views import moving, spelled, view
from tests.engine.zoo import MASK, ZooToy, published, states

NAN = float("nan")


def stored(*values: float) -> dict[str, torch.Tensor]:
    return {"revealed_at": torch.tensor([values], dtype=torch.float64)}


@pytest.mark.parametrize(
    ("knobs", "done"),
    [
        # the mean when revealed is .6: .9, .7 and .65 are above it, and of what is unmasked then `7` has lost most
        ({}, "x++-+-"),
        # the four surest, and half of n go: `7`, and .65 which was .6
        ({"n": 4}, "x+++--"),
        # one in two of the three
        ({"one_in": 2}, "x++---"),
        ({"n": 1, "one_in": 3}, "x++-+-"),
    ],
)
def test_what_is_surer_than_the_mean_is_revealed_and_what_gained_least_is_masked(
    knobs: dict[str, Any], done: str
) -> None:
    made = make_strategy("saber", **knobs)
    seen = view(
        made, "7_____", memory=stored(0.6, NAN, NAN, NAN, NAN, NAN), confidence=[0.3, 0.9, 0.7, 0.5, 0.65, 0.1],
        previous={"confidence": [0.6, 0.4, 0.2, 0.4, 0.6, 0.2]},
    )  # fmt: skip
    plan = made.plan(seen)
    assert spelled(plan, "7_____") == done
    assert plan.memory is not None
    kept = plan.memory["revealed_at"][0].tolist()
    # what is masked again in the same step counts as revealed too
    assert kept == pytest.approx([0.6, 0.9, 0.7, 0.5 if knobs.get("n") == 4 else NAN, 0.65, NAN], nan_ok=True)


def test_at_first_the_n_surest_are_chosen_and_the_least_sure_of_them_stays_masked() -> None:
    made = make_strategy("saber")
    seen = view(made, "____", confidence=[0.3, 0.9, 1.0, 0.5], previous={})
    assert spelled(made.plan(seen), "____") == "--+-"


def test_with_fewer_masks_than_n_only_masks_are_revealed_and_nothing_is_taken_back() -> None:
    made = make_strategy("saber", n=3)
    seen = view(
        made, "12_4_", memory=stored(0.9, 0.9, NAN, 0.9, NAN), confidence=[0.99, 0.1, 0.2, 0.3, 0.1],
        previous={"confidence": [0.9] * 5},
    )  # fmt: skip
    assert spelled(made.plan(seen), "12_4_") == "--+-+"


@pytest.mark.parametrize("run", published("saber"), ids=lambda one: f"{one['n']}, blocks of {one['block_length']}")
def test_it_steps_through_the_states_of_saber(run: dict[str, Any]) -> None:
    one = run["block_length"] == run["gen_length"]
    knobs = {} if one else {"as_published": "yes", "block": run["block_length"]}
    ours = states(make_strategy("saber", n=run["n"], **knobs), steps=run["calls"] + 2, length=18, prompt=run["prompt"])
    assert moving(ours) == run["states"]


def test_as_published_is_the_same_in_one_block_and_another_rule_in_several() -> None:
    shape: dict[str, Any] = {"steps": 30, "length": 18, "prompt": [3, 7]}
    plain = states(make_strategy("saber"), **shape)
    assert states(make_strategy("saber", as_published="yes", block=16), **shape) == plain
    blocks = states(make_strategy("saber"), block_length=4, **shape)
    assert moving(states(make_strategy("saber", as_published="yes", block=4), **shape)) != moving(blocks)


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("block", [16, 8, 4])
def test_it_never_runs_into_another_block_and_never_overwrites(n: int, block: int) -> None:
    session = Session(
        ZooToy(), make_strategy("saber", n=n), steps=64, length=18, prompt=[3, 7], block_length=block, temperature=0.0
    )
    before = session.tokens.numpy()[0].copy()
    for frame in session:
        now, first = frame.tokens[0], 2 + block * frame.block
        outside = [i for i in range(18) if not first <= i < first + block]
        assert (now[outside] == before[outside]).all()
        both = (now != MASK) & (before != MASK)
        assert (now[both] == before[both]).all()
        before = now
    assert frame.final is False
    assert not (before == MASK).any()
