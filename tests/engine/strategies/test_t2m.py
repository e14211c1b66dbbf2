"""T2M: three rules of what is masked again, their limits, and when a block is over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.records import Change
from engine.sampling.blocks import Blocks
from engine.sampling.session import Session
from engine.strategies import Prediction, make_strategy, reads_of
from tests.engine.stats import ENOUGH, FAR_OFF, same_distribution
from tests.engine.strategies.toys import MASK, dense, fast, view, where
from tests.engine.zoo import MASK as ZOO_MASK
from tests.engine.zoo import ZooToy

RULES = ("low_prob", "t2t_remask", "logit_diff")
TOKENS = [0, 1, 2, 3, MASK]
NAN = float("nan")


def column(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def test_each_rule_masks_what_it_doubts_most_first() -> None:
    """Four revealed tokens, at most max(1, int(.5 * 4)) = 2 of them in a step."""
    seen: dict[str, Any] = {"current": [0.4, 0.2, 0.3, 0.6, NAN], "confidence": [0.95, 0.2, 0.92, 0.99, 0.5]}
    last = Prediction.blank(column(0, 0, 0, 0, 0))._replace(
        # the fourth token was revealed by the last call, with .95
        current=column(0.6, 0.9, 0.65, NAN, NAN), confidence=column(0.6, 0.9, 0.65, 0.95, 0.5),
    )  # fmt: skip
    for rule, remasked in (("low_prob", [1, 2]), ("t2t_remask", [0, 3]), ("logit_diff", [1, 2])):
        strategy = make_strategy("t2m", rule=rule, max_remask_ratio=0.5)
        plan = strategy.plan(view(strategy, TOKENS, previous=last, **seen))
        assert where(plan.remask) == remasked, rule
        assert where(plan.unmask) == [4]
        assert plan.edit is None
        assert plan.memory is not None
        assert plan.memory["times"].tolist() == [[int(i in remasked) for i in range(5)]]
    few = make_strategy("t2m", rule="low_prob")
    assert where(few.plan(view(few, TOKENS, **seen)).remask) == [1]


def test_the_first_call_with_anything_to_remask_is_compared_with_none() -> None:
    strategy = make_strategy("t2m", rule="logit_diff")
    last = Prediction.blank(column(0, 0))._replace(confidence=column(0.9, 0.9))
    plan = strategy.plan(view(strategy, [0, MASK], previous=last, current=[0.1, NAN], confidence=[0.1, 0.5]))
    assert where(plan.remask) == []


def test_a_position_is_masked_again_so_often_in_its_block_and_no_more() -> None:
    strategy = make_strategy("t2m", max_remask_per_pos=2)
    start = strategy.initial_memory(torch.zeros(1, 2, dtype=torch.float64))
    seen: dict[str, Any] = {"current": [0.1, 0.2], "confidence": [0.1, 0.2]}
    for times, remasked in (([1, 0], [0]), ([2, 0], [1]), ([2, 2], [])):
        memory = {**start, "times": torch.tensor([times])}
        assert where(strategy.plan(view(strategy, [0, 1], memory=memory, **seen)).remask) == remasked
    memory = {**start, "times": torch.tensor([[2, 2]])}
    assert where(strategy.plan(view(strategy, [0, 1], t=1.0, memory=memory, **seen)).remask) == [0]


@pytest.mark.parametrize("rule", RULES)
def test_a_run_keeps_its_limits_and_stops_calling_the_network(rule: str) -> None:
    strategy = make_strategy("t2m", rule=rule, threshold=0.6, sure=0.5, max_remask_per_pos=3)
    frames = list(Session(ZooToy(), strategy, steps=300, length=20, block_length=10, seed=1, temperature=0.0))
    remasks = np.stack([frame.change[0] == Change.REMASKED for frame in frames])
    assert remasks.any()
    assert remasks.sum(0).max() <= 3
    for before, frame in zip([None, *frames], frames, strict=False):
        block = slice(10 * frame.block, 10 * frame.block + 10)
        revealed = 0 if before is None else int((before.tokens[0, block] != ZOO_MASK).sum())
        assert frame.count(Change.REMASKED) <= max(1, int(revealed * 0.25))
    called = np.diff([0, *(frame.network_calls for frame in frames)])
    for block in (0, 1):
        calls = called[[i for i, frame in enumerate(frames) if frame.block == block]]
        assert not calls[-1]
        assert (np.diff(calls) <= 0).all()
    last = frames[int(np.flatnonzero(called)[-1])]
    assert not last.count(Change.REMASKED)


def test_a_run_takes_the_calls_of_the_published_code() -> None:
    """Its code takes 163 calls for 30 tokens in two blocks of 16, the first of which begins with the prompt's 2."""
    model = ZooToy(block_causal=16)
    session = Session(model, make_strategy("t2m"), steps=400, length=32, prompt=[3, 7], temperature=0.0, top_p=1.0)
    session.blocks = Blocks((2, 16, 32), (200, 200))
    assert list(session)[-1].network_calls == len(model.seen) == 163


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_steps_as_the_dense_update(rule: str) -> None:
    strategy = make_strategy("t2m", rule=rule, threshold=0.5, sure=0.4, fall=0.05, max_remask_ratio=1)
    assert same_distribution(fast(strategy, steps=6), dense(strategy, steps=6)) > ENOUGH


def test_new_tokens_are_tempered_but_where_they_are_compared_with_standing_ones() -> None:
    read = {rule: "tempered" in reads_of(make_strategy("t2m", rule=rule)) for rule in RULES}
    assert read == {"low_prob": True, "t2t_remask": True, "logit_diff": False}
    strategy = make_strategy("t2m", threshold=0.5, low=0.3, max_remask_ratio=1)
    shared = {"temperature": 0.6, "top_p": 0.9, "steps": 6}
    assert same_distribution(fast(strategy, **shared), dense(strategy, **shared)) > ENOUGH


def test_another_limit_is_distinguished() -> None:
    ours, theirs = (make_strategy("t2m", threshold=0.5, low=low) for low in (0.5, 0.4))
    assert same_distribution(fast(ours, steps=6), dense(theirs, steps=6)) < FAR_OFF
