"""ReMDM on LLaDA: the loop call by call, remasks beside the reveals, and the published law of random ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.records import Change
from engine.sampling.session import Session
from engine.strategies import make_strategy
from engine.strategies.llada_remdm import T_OFF, T_ON
from engine.strategies.ranking import middle_first
from tests.engine import zoo
from tests.engine.stats import ENOUGH, FAR_OFF, same_distribution
from tests.engine.strategies.toys import MASK, dense, fast, view, where
from tests.engine.zoo import ZooToy

VERSIONS = ("loop", "random", "held")


def test_the_loop_takes_the_published_calls() -> None:
    """16 tokens: 14 calls of one reveal, 32 of a remask and one of a reveal each, 2 calls to the end: 80."""
    session = Session(ZooToy(), make_strategy("llada-remdm"), steps=80, length=18, prompt=[3, 7], temperature=0.0)
    frames = list(session)
    reveals = [frame.count(Change.REVEALED) for frame in frames]
    remasks = [frame.count(Change.REMASKED) for frame in frames]
    assert reveals == [1] * 14 + [0, 1] * 32 + [1, 1]
    assert remasks == [0] * 14 + [1, 0] * 32 + [0, 0]
    assert frames[-1].network_calls == 80


def test_the_loop_remasks_what_is_least_probable_now_and_reveals_the_surest_of_all_masks() -> None:
    """A reimplementation of the published rule in lists, on the toy network, gives the same states."""
    model, length, prompt = ZooToy(), 18, [3, 7]
    session = Session(model, make_strategy("llada-remdm", loops=5, k=2), steps=26, length=length, prompt=prompt,
                      temperature=0.0)  # fmt: skip
    frames = list(session)
    tokens = [*prompt, *[zoo.MASK] * 16]
    for number, frame in enumerate(frames):
        p = torch.softmax(model.encode(torch.tensor([tokens]), torch.zeros(1))[0].double(), -1)
        p[:, zoo.MASK] = 0
        p /= p.sum(-1, keepdim=True)
        if 14 <= number < 24 and number % 2 == 0:
            standing = [i for i in range(2, length) if tokens[i] != zoo.MASK]
            for i in sorted(standing, key=lambda i: float(p[i, tokens[i]]))[:2]:
                tokens[i] = zoo.MASK
        else:
            masked = [i for i in range(length) if tokens[i] == zoo.MASK]
            for i in sorted(masked, key=lambda i: -float(p[i].max()))[: 2 if 14 <= number < 24 else 1]:
                tokens[i] = int(p[i].argmax())
        assert frame.tokens[0].tolist() == tokens, number


@pytest.mark.parametrize("steps", range(1, 200, 7))
def test_a_loop_leaves_steps_to_reveal_in(steps: int) -> None:
    grid = make_strategy("llada-remdm").grid(steps)
    assert len(grid) == steps + 1
    assert (np.diff(grid) < 0).all()
    looped = int(((grid[:-1] < T_ON + 1e-9) & (grid[1:] > T_OFF - 1e-9)).sum())
    assert looped % 2 == 0
    assert looped <= min(64, steps * 4 // 5)


# the loop is as long as it gets from 80 steps on: a run or two beyond stand for all
@pytest.mark.parametrize("steps", [*range(1, 80, 7), 99, 190])
def test_a_run_ends_with_reveals(steps: int) -> None:
    frames = list(Session(ZooToy(), make_strategy("llada-remdm"), steps=steps, length=16))
    assert len(frames) == steps
    assert frames[-1].count(Change.REMASKED) == 0


def test_a_remask_of_chance_goes_by_the_uniforms_and_of_the_held_by_the_probability_when_revealed() -> None:
    """5 positions in 5 steps, 3 remasks: the middle three have one each, and reveal 1 + 1."""
    seen: dict[str, Any] = {"held": [0.9, 0.3, 0.6, 0, 0], "noise": [0.2, 0.8, 0.1, 0.5, 0.5], "t": 0.6, "s": 0.4}
    seen["confidence"] = [0, 0, 0, 0.4, 0.7]
    for version, forgotten in (("random", 2), ("held", 1)):
        strategy = make_strategy("llada-remdm", version=version, num_remasking=3)
        plan = strategy.plan(view(strategy, [1, 1, 1, MASK, MASK], **seen))
        assert where(plan.remask) == [forgotten]
        assert where(plan.unmask) == [3, 4]
    plan = strategy.plan(view(strategy, [1, 1, 1, MASK, MASK], **{**seen, "t": 0.2, "s": 0.0}))
    assert where(plan.remask) == []
    assert where(plan.unmask) == [4]


@pytest.mark.parametrize("version", ["random", "held"])
def test_a_block_without_masks_has_ended(version: str) -> None:
    """4 tokens in 20 steps are revealed before the remasks in the middle steps are due."""
    strategy = make_strategy("llada-remdm", version=version, num_remasking=5)
    frames = list(Session(ZooToy(), strategy, steps=20, length=4, temperature=0.0))
    assert sum(frame.count(Change.REMASKED) for frame in frames) == 0
    assert frames[-1].network_calls == 4


@pytest.mark.parametrize(("steps", "count"), [(8, 4), (8, 3), (5, 3), (16, 12), (20, 5), (4, 6), (1, 3), (2, 1)])
def test_what_does_not_divide_goes_to_the_middle_steps(steps: int, count: int) -> None:
    nearest = sorted(range(steps), key=lambda i: abs(i - (steps - 1) / 2))
    wanted = [count // steps + (nearest.index(i) < count % steps) for i in range(steps)]
    assert middle_first(torch.arange(steps), torch.tensor(steps), count).tolist() == wanted


# The other law of `remdm` has a random order of reveals too; remdm_conf's states are those of PRISM's head
def test_random_remasks_follow_the_published_law() -> None:
    runs = json.loads((Path(zoo.__file__).parent / "prism.json").read_text())["settings"]
    run = next(one for one in runs if one["remasking_mode"] == "remdm" and one["unmasking"] == "prob_max")
    strategy = make_strategy("llada-remdm", version="random", num_remasking=run["num_remasking"])
    session = Session(ZooToy(), strategy, steps=run["steps"], length=run["max_length"], prompt=run["prompt"],
                      batch=2000, seed=3, temperature=0.0)  # fmt: skip
    for frame, law in zip(session, run["laws"], strict=False):
        ours = [zoo.spelled(row) for row in frame.tokens]
        theirs = [state for state, count in law["counts"].items() for _ in range(count)]
        numbers = {state: number for number, state in enumerate(sorted({*ours, *theirs}))}
        a, b = (np.array([numbers[state] for state in states]) for states in (ours, theirs))
        assert len(numbers) == 1 or same_distribution(a, b) > ENOUGH


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_steps_as_the_dense_update(version: str) -> None:
    strategy = make_strategy("llada-remdm", version=version, num_remasking=2)
    assert same_distribution(fast(strategy, steps=10), dense(strategy, steps=10)) > ENOUGH


def test_other_versions_are_distinguished() -> None:
    ours, theirs = (make_strategy("llada-remdm", version=version, num_remasking=2) for version in ("random", "held"))
    assert same_distribution(fast(ours), dense(theirs)) < FAR_OFF
