"""KLASS: by hand, and against its loop written out over whole distributions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.strategies.views import moving, spelled, view
from tests.engine.zoo import MASK, ZooToy, states
from tests.engine.zoo import spelled as state_of

SURE = [0.95, 0.92, 0.5, 0.9, 0.99]
MOVED = [0.005, 0.001, 0.0, 0.0, 0.02]


@pytest.mark.parametrize(
    ("knobs", "revealed"),
    [
        ({}, "++---"),  # .9 is not above .9, and the last has moved
        ({"rule": "dream"}, "++-+-"),
        ({"unmask": "max-confidence"}, "+----"),
        ({"unmask": "min-kl"}, "-+---"),
        ({"kl": 0.03}, "++--+"),
        ({"confidence": 0.4}, "++++-"),
        ({"history": 3}, "----+"),  # stable twice only: the quota, of 5 positions in 5 steps
        ({"confidence": 0.99}, "----+"),
        ({"confidence": 0.995, "rule": "dream"}, "----+"),
    ],
)
def test_what_is_sure_and_stable_is_revealed_or_else_the_quota(knobs: dict[str, Any], revealed: str) -> None:
    made = make_strategy("klass", **knobs)
    before = {"stable": torch.ones(1, 5, dtype=torch.long)}
    seen = view(made, "_____", t=0.4, s=0.2, memory=before, confidence=SURE, divergence=MOVED)
    plan = made.plan(seen)
    assert spelled(plan, "_____") == revealed
    assert plan.memory is not None
    assert plan.memory["stable"].tolist() == [[2, 2, 2, 2, 2 if knobs.get("kl") else 0]]


def test_the_first_call_of_a_block_reveals_the_quota_whatever_the_history() -> None:
    made = make_strategy("klass", history=1)
    for t, revealed in ((1.0, "----+"), (0.8, "++---")):
        seen = view(made, "_____", t=t, s=t - 0.2, confidence=SURE, divergence=MOVED)
        assert spelled(made.plan(seen), "_____") == revealed


@pytest.mark.parametrize(
    ("state", "t", "revealed"), [("_______", 1.0, 2), ("__37521", 0.5, 2), ("_123456", 0.5, 1), ("__37521", 0.25, 1)]
)
def test_a_quota_is_that_of_llada_and_stops_at_the_masks(state: str, t: float, revealed: int) -> None:
    """7 positions in 4 steps: 2, 2, 2 and 1."""
    made = make_strategy("klass")
    seen = view(made, state, t=t, s=t - 0.25, confidence=[0.5] * 7, divergence=[torch.inf] * 7)
    assert spelled(made.plan(seen), state) == "+" * revealed + "-" * (7 - revealed)


def written_out(length: int, prompt: list[int], steps: int, block: int, confidence: float, kl: float) -> list[str]:
    """Return the states of the published loop, for as many steps as positions or more, where it is safe."""
    model, tokens = ZooToy(), torch.full((1, length), MASK)
    tokens[0, : len(prompt)] = torch.tensor(prompt)
    found = [state_of(tokens[0])]
    last, history = torch.zeros(length, 12, dtype=torch.float64), torch.zeros(2, length, dtype=torch.float64)
    blocks = (length - len(prompt)) // block
    for first in range(len(prompt), length, block):
        inside = (torch.arange(length) >= first) & (torch.arange(length) < first + block)
        for call in range(steps // blocks):
            masked = (tokens[0] == MASK) & inside
            if not masked.any():
                break
            p = distributions(model, tokens)
            moved = (p * ((p + 1e-12).log() - (last + 1e-12).log())).sum(-1)
            history, last = torch.stack((history[1], moved)), p
            sure, ids = p.max(-1)
            ready = masked & (sure > confidence) & (history < kl).all(0) & torch.tensor(call >= 1)
            if not ready.any():
                assert call < block
                ready = torch.arange(length) == sure.where(masked, -1.0).argmax()
            tokens[0, ready] = ids[ready]
            found.append(state_of(tokens[0]))
    return found


def distributions(model: ZooToy, tokens: Tensor) -> Tensor:
    return torch.softmax(model.project(model.encode(tokens, torch.zeros(1)))[0].double(), -1)


@pytest.mark.parametrize("block", [16, 8, 4])
@pytest.mark.parametrize(("confidence", "kl"), [(0.9, 0.01), (0.5, 0.3), (0.3, 1.0), (0.6, 0.1)])
@pytest.mark.parametrize("steps", [16, 32])
def test_it_steps_through_the_states_of_the_published_loop(
    block: int, confidence: float, kl: float, steps: int
) -> None:
    theirs = written_out(18, [3, 7], steps, block, confidence, kl)
    made = make_strategy("klass", confidence=confidence, kl=kl)
    ours = states(made, steps=steps, length=18, prompt=[3, 7], block_length=block)
    assert moving(ours) == theirs
    if (confidence, kl) == (0.3, 1.0):
        assert len(theirs) < 17


@pytest.mark.parametrize(("steps", "block"), [(1, 16), (2, 16), (3, 16), (5, 16), (12, 16), (4, 4), (7, 4), (12, 4)])
def test_with_fewer_steps_no_mask_is_left_and_no_token_changes(steps: int, block: int) -> None:
    made = make_strategy("klass", confidence=0.3, kl=1.0)
    session = Session(ZooToy(), made, steps=steps, length=18, prompt=[3, 7], block_length=block, temperature=0.0)
    before = session.tokens.numpy().copy()
    for frame in session:
        kept = before != MASK
        assert (frame.tokens[kept] == before[kept]).all()
        before = frame.tokens
    assert not (before == MASK).any()
