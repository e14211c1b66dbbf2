"""WINO: what is revealed and what is taken back in a step, its limits, and what verifying costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.records import Change
from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.stats import ENOUGH, FAR_OFF, same_distribution
from tests.engine.strategies.toys import MASK, dense, fast, view, where
from tests.engine.toys import RowToy
from tests.engine.zoo import MASK as ZOO_MASK
from tests.engine.zoo import ZooToy

NAN = float("nan")


def memory(last: int) -> dict[str, torch.Tensor]:
    return {"last": torch.tensor([last])}


def test_all_above_the_threshold_are_revealed_and_what_is_not_confirmed_is_masked_if_more_than_one_is() -> None:
    strategy = make_strategy("wino")
    seen: dict[str, Any] = {"current": [0.95, 0.2, 0.8, NAN, NAN, NAN]}
    tokens = [0, 1, 2, MASK, MASK, MASK]
    plan = strategy.plan(view(strategy, tokens, confidence=[NAN, NAN, NAN, 0.7, 0.6, 0.9], **seen))
    assert where(plan.unmask) == [3, 5]
    assert where(plan.remask) == [1, 2]
    assert plan.memory is not None
    assert plan.memory["last"].tolist() == [2]
    plan = strategy.plan(view(strategy, tokens, confidence=[NAN, NAN, NAN, 0.3, 0.6, 0.6], **seen))
    assert where(plan.unmask) == [4]
    assert where(plan.remask) == []


def test_a_token_that_is_confirmed_with_exactly_the_threshold_stays() -> None:
    strategy = make_strategy("wino", threshold_back=0.75)
    seen: dict[str, Any] = {"current": [0.75, 0.5, NAN, NAN], "confidence": [NAN, NAN, 0.7, 0.9]}
    assert where(strategy.plan(view(strategy, [0, 1, MASK, MASK], **seen)).remask) == [1]


def test_fewer_are_masked_again_than_the_step_before_revealed() -> None:
    """Three are doubted: with 3 revealed last the two lowest, with 2 the lowest, with 1 none, with 4 all."""
    strategy = make_strategy("wino")
    for last, remasked in ((1, []), (2, [1]), (3, [1, 2]), (4, [0, 1, 2])):
        seen = view(strategy, [0, 1, 2, MASK, MASK], memory=memory(last), current=[0.5, 0.1, 0.3, NAN, NAN],
                    confidence=[NAN, NAN, NAN, 0.7, 0.8])  # fmt: skip
        assert where(strategy.plan(seen).remask) == remasked
    first = view(strategy, [0, 1, 2, MASK, MASK], memory=memory(1), t=1.0, current=[0.5, 0.1, 0.3, NAN, NAN],
                 confidence=[NAN, NAN, NAN, 0.7, 0.8])  # fmt: skip
    assert where(strategy.plan(first).remask) == [0, 1, 2]


@pytest.mark.parametrize(("masks", "most"), [(4, 4), (6, 5), (8, 5), (10, 7), (20, 14), (40, 20)])
def test_a_step_reveals_seven_tenths_between_5_and_20(masks: int, most: int) -> None:
    strategy = make_strategy("wino")
    confidence = [0.7 + 0.005 * i for i in range(masks)]
    plan = strategy.plan(view(strategy, [MASK] * masks, confidence=confidence, current=[NAN] * masks))
    assert where(plan.unmask) == list(range(masks - most, masks))


def published_rule(length: int, steps: int) -> tuple[list[list[int]], int]:
    """The states by the page's formulas in plain lists, each token verified with itself masked, and the calls."""
    model = ZooToy()

    def probabilities(tokens: list[int]) -> torch.Tensor:
        logits = model.encode(torch.tensor([tokens]), torch.zeros(1))[0].double()
        logits[:, ZOO_MASK] = -torch.inf
        return torch.softmax(logits, -1)

    tokens, last, states, calls = [ZOO_MASK] * length, 30, [], 0
    while (masks := [i for i in range(length) if tokens[i] == ZOO_MASK]) and len(states) < steps:
        p = probabilities(tokens)
        calls += 1 + length - len(masks)
        back = {}
        for i in set(range(length)) - set(masks):
            back[i] = float(probabilities([*tokens[:i], ZOO_MASK, *tokens[i + 1 :]])[i, tokens[i]])
        order = sorted(masks, key=lambda i: -float(p[i].max()))
        most = min(max(int(0.7 * len(masks)), 5), 20)
        chosen = [i for i in order if float(p[i].max()) > 0.6][:most] or order[:1]
        doubted = sorted((i for i in back if back[i] < 0.9), key=lambda i: back[i]) if len(chosen) > 1 else []
        for i in chosen:
            tokens[i] = int(p[i].argmax())
        for i in doubted[: last - 1] if len(doubted) >= last else doubted:
            tokens[i] = ZOO_MASK
        last = len(chosen)
        states.append(list(tokens))
    return states, calls


def test_whole_runs_are_those_of_the_formulas_and_cost_a_call_for_each_verified_token() -> None:
    want, calls = published_rule(14, 40)
    frames = list(Session(ZooToy(), make_strategy("wino"), steps=40, length=14, temperature=0.0))
    assert [frame.tokens[0].tolist() for frame in frames[: len(want)]] == want
    assert any(frame.count(Change.REMASKED) for frame in frames)
    assert frames[len(want) - 1].network_calls == calls


def test_verification_masks_one_position_at_a_time_in_rows() -> None:
    model = RowToy()
    session = Session(model, make_strategy("wino", threshold=0.3), steps=20, length=10, batch=3, block_length=5, seed=2)
    frames = list(session)
    assert frames[-1].network_calls == model.encoded
    called = np.diff([0, *(frame.network_calls for frame in frames)])
    assert called.max() > 3


def test_it_steps_as_the_dense_update() -> None:
    strategy = make_strategy("wino", threshold=0.3)
    assert same_distribution(fast(strategy, length=4), dense(strategy, length=4)) > ENOUGH


def test_another_verification_is_distinguished() -> None:
    ours, theirs = (make_strategy("wino", threshold=0.3, threshold_back=back) for back in (0.9, 0.3))
    assert same_distribution(fast(ours, length=4), dense(theirs, length=4)) < FAR_OFF
