"""LLaDA2.1: reveals by threshold, edits in place, the end of a block, and the published states and laws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.records import Change
from engine.sampling.blocks import Blocks
from engine.sampling.session import Session
from engine.strategies import Strategy, make_strategy
from tests.engine import zoo
from tests.engine.stats import ENOUGH, FAR_OFF, same_distribution
from tests.engine.strategies.toys import MASK, dense, fast, view, where
from tests.engine.zoo import ZooToy, published, spelled

STEPS = 60
KNOBS = ("threshold", "editing_threshold", "num_to_transfer", "max_post_steps")


def in_blocks(run: dict[str, Any], **settings: Any) -> Session:
    """Our run with the blocks of theirs: counted from the prompt's start, the canvas rounded up to whole ones."""
    size, prompt = run["block_size"], run["prompt"]
    length = -(-(len(prompt) + run["max_new_tokens"]) // size) * size
    edges = (len(prompt), *range(size, length + 1, size))
    strategy = make_strategy("llada21-edit", **{name: run[name] for name in KNOBS})
    model = ZooToy(block_causal=size)
    session = Session(model, strategy, steps=STEPS * (len(edges) - 1), length=length, prompt=prompt, **settings)
    session.blocks = Blocks(edges, (STEPS,) * (len(edges) - 1))
    return session


@pytest.mark.parametrize(
    "run", published("llada21"), ids=lambda run: f"block {run['block_size']} threshold {run['threshold']}"
)
def test_the_published_states_at_every_call(run: dict[str, Any]) -> None:
    session, states, calls = in_blocks(run, temperature=0.0, top_p=1.0), [], 0
    first = spelled(session.tokens[0])
    for frame in session:
        if frame.network_calls > calls:
            states.append(spelled(frame.tokens[0]))
        calls = frame.network_calls
    if run["eos_early_stop"]:
        # that a run stops at a token that ends the text is no part of the rule: ours goes on
        calls = run["calls"]
        del states[calls:]
    assert [first, *states] == run["states"]
    assert calls == run["calls"]


def laws() -> list[Any]:
    runs = json.loads((Path(zoo.__file__).parent / "llada21.json").read_text())["settings"]
    return [pytest.param(run, id=f"temperature {run['temperature']}") for run in runs if "laws" in run]


@pytest.mark.parametrize("run", laws())
def test_the_published_law_of_the_first_calls(run: dict[str, Any]) -> None:
    top_p = run.get("top_p", 1.0)
    session = in_blocks(run, batch=2500, seed=2, temperature=run["temperature"], top_p=top_p, nucleus="inclusive")
    # from the fourth call on some runs are over, which their tables leave out
    for frame, law in zip(session, run["laws"][:3], strict=False):
        ours = [spelled(row) for row in frame.tokens]
        theirs = [state for state, count in law["counts"].items() for _ in range(count)]
        known = [state for state in ours if state in law["counts"]]
        numbers = {state: number for number, state in enumerate(law["counts"])}
        assert len(ours) - len(known) < 2 * law["other"] + 20
        a, b = (np.array([numbers[state] for state in states]) for states in (known, theirs))
        assert same_distribution(a, b) > ENOUGH


def test_what_is_above_the_threshold_is_revealed_or_the_surest_and_tokens_are_edited() -> None:
    strategy = make_strategy("llada21-edit", threshold=0.7, editing_threshold=0.5)
    seen: dict[str, Any] = {"ids": [2, 1, 0, 0, 0]}
    plan = strategy.plan(view(strategy, [0, 1, MASK, MASK, MASK], confidence=[0.6, 0.6, 0.8, 0.7, 0.9], **seen))
    assert where(plan.unmask) == [2, 4]
    assert where(plan.edit) == [0]
    plan = strategy.plan(view(strategy, [0, 1, MASK, MASK, MASK], confidence=[0.5, 0.7, 0.6, 0.7, 0.1], **seen))
    assert where(plan.unmask) == [3]
    assert where(plan.edit) == []
    few = make_strategy("llada21-edit", threshold=0.7, num_to_transfer=2)
    plan = few.plan(view(few, [0, 1, MASK, MASK, MASK], confidence=[0.5, 0.6, 0.6, 0.9, 0.6], **seen))
    assert where(plan.unmask) == [2, 3]


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_a_block_without_masks_takes_so_many_calls_and_no_more(limit: int) -> None:
    strategy = make_strategy("llada21-edit", threshold=0.5, editing_threshold=0, max_post_steps=limit)
    frames = list(Session(ZooToy(), strategy, steps=40, length=8, temperature=1.0, seed=3, top_p=1.0))
    filled = next(i for i, frame in enumerate(frames) if not (frame.tokens == zoo.MASK).any())
    assert any(frame.count(Change.EDITED) for frame in frames) or limit == 0
    assert frames[-1].network_calls <= filled + 1 + limit
    assert not frames[-1].count(Change.EDITED)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.5, "top_p": 0.8}], ids=str)
def test_it_steps_as_the_dense_update(settings: dict[str, Any]) -> None:
    strategy = make_strategy("llada21-edit", threshold=0.5, editing_threshold=0.3)
    assert same_distribution(fast(strategy, **settings), dense(strategy, **settings)) > ENOUGH


def test_another_threshold_is_distinguished() -> None:
    ours, theirs = (make_strategy("llada21-edit", threshold=x, editing_threshold=0.3) for x in (0.5, 0.7))
    assert same_distribution(fast(ours), dense(theirs)) < FAR_OFF


def test_its_place_in_a_run_is_part_of_the_state() -> None:
    strategy: Strategy = make_strategy("llada21-edit", threshold=0.5, editing_threshold=0.2, max_post_steps=2)
    session = Session(ZooToy(), strategy, steps=30, length=12, block_length=4, seed=5)
    frames = list(session)
    session.rewind(9)
    assert all(np.array_equal(a.tokens, b.tokens) for a, b in zip(session, frames[9:], strict=True))
