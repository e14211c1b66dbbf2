"""SlowFast sampling: by hand, and against its loop written out over whole distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.strategies import make_strategy
from tests.engine.strategies.views import moving, spelled, view
from tests.engine.zoo import MASK, ZooToy, states
from tests.engine.zoo import spelled as state_of


def memory(start: int, end: int, calls: int, last: int = -1, agreed: int = 0) -> dict[str, torch.Tensor]:
    values = {"start": start, "end": end, "calls": calls, "last": last, "agreed": agreed}
    return {name: torch.tensor([[float(value)]], dtype=torch.float64) for name, value in values.items()}


@pytest.mark.parametrize(
    ("before", "sure", "done", "after"),
    [
        # a slow call: the surest of all, and a length up to the last that is .3 sure
        (memory(0, 0, 0), [0.2, 0.5, 0.95, 0.3, 0.1, 0.1], "--+---", memory(0, 4, 1, 4)),
        # two that reach .9 go together; 4 and 5 differ by a deviation of .5
        (memory(0, 4, 1, 4), [0.2, 0.9, 0.95, 0.3, 0.4, 0.1], "-++---", memory(0, 5, 2, 5, 1)),
        # 4 and 6 by one of 1: their mean
        (memory(0, 4, 1, 4), [0.2, 0.9, 0.95, 0.3, 0.4, 0.3], "-++---", memory(0, 5, 2, 6)),
        # what has been agreed on stays
        (memory(0, 4, 2, 4, 1), [0.2, 0.1, 0.1, 0.1, 0.1, 0.5], "-----+", memory(0, 4, 3, 6, 1)),
        # none is sure enough: one further
        (memory(2, 0, 0), [0.2, 0.2, 0.1, 0.2, 0.1, 0.1], "---+--", memory(2, 3, 1, 3)),
        # a fast call looks at its cycle alone
        (memory(0, 4, 6, 4, 1), [0.2, 0.1, 0.1, 0.1, 0.99, 0.99], "+-----", memory(0, 4, 6, 4, 1)),
        (memory(1, 4, 6, 4, 1), [0.9, 0.9, 0.1, 0.9, 0.99, 0.99], "-+-+--", memory(1, 4, 6, 4, 1)),
    ],
)
def test_slow_calls_measure_a_cycle_and_fast_ones_fill_it(
    before: dict[str, torch.Tensor], sure: list[float], done: str, after: dict[str, torch.Tensor]
) -> None:
    made = make_strategy("slow-fast")
    plan = made.plan(view(made, "______", t=0.5, memory=before, confidence=sure))
    assert spelled(plan, "______") == done
    assert plan.memory is not None
    assert {name: value.item() for name, value in plan.memory.items()} == {
        name: value.item() for name, value in after.items()
    }


def test_a_full_cycle_gives_way_to_the_next_and_a_block_begins_anew() -> None:
    made = make_strategy("slow-fast")
    sure = [0.9, 0.9, 0.5, 0.2, 0.4]
    plan = made.plan(view(made, "12___", t=0.5, memory=memory(0, 2, 6, 2, 1), confidence=sure))
    assert spelled(plan, "12___") == "--+--"
    assert plan.memory is not None
    assert {name: value.item() for name, value in plan.memory.items()} == {
        "start": 2, "end": 5, "calls": 1, "last": 5, "agreed": 0,
    }  # fmt: skip
    fresh = made.plan(view(made, "..___", t=1.0, memory=memory(3, 4, 6, 2, 1), confidence=sure))
    assert fresh.memory is not None
    assert [fresh.memory[name].item() for name in ("start", "end", "calls")] == [0, 3, 1]


def written_out(prompt: list[int], length: int, block: int, explore: int, high: float, reach: float) -> list[str]:
    """Return the states of the published loop, whose network is always given the whole text here."""
    model, tokens = ZooToy(), torch.full((1, length), MASK)
    tokens[0, : len(prompt)] = torch.tensor(prompt)
    found = [state_of(tokens[0])]

    def call(first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        p = torch.softmax(model.project(model.encode(tokens, torch.zeros(1)))[0].double(), -1)
        sure, ids = p.max(-1)
        return sure.masked_fill(tokens[0] != MASK, -1).numpy(), ids.numpy()

    def fill(sure: np.ndarray, ids: np.ndarray, first: int, end: int) -> None:
        if (tokens[0, first:end] == MASK).any():
            chosen = [i for i in range(first, end) if sure[i] >= high]
            for i in chosen if len(chosen) > 1 else [first + int(sure[first:end].argmax())]:
                tokens[0, i] = int(ids[i])
        found.append(state_of(tokens[0]))

    for at in range(len(prompt), length, block):
        done = 0
        while (tokens[0, at : at + block] == MASK).any():
            lengths: list[int] = []
            agreed = None
            for _ in range(explore):
                sure, ids = call(at, at + block)
                if agreed is None:
                    far = [i for i in range(at + done, at + block) if sure[i] >= reach]
                    lengths.append(min(block, done + (far[-1] - at - done + 1 if far else 1)))
                    if len(lengths) > 1 and np.std(lengths[-2:]) < 1:
                        agreed = lengths[-1]
                fill(sure, ids, at + done, at + block)
            end = int(np.mean(lengths[-2:])) if agreed is None else agreed
            while (tokens[0, at + done : at + end] == MASK).any():
                fill(*call(at, at + block), at + done, at + end)
            done = end
    return moving(found)


@pytest.mark.parametrize("block", [16, 8])
@pytest.mark.parametrize("explore", [1, 2, 6])
@pytest.mark.parametrize(("high", "reach"), [(0.9, 0.3), (0.5, 0.6), (0.99, 0.95)])
def test_it_steps_through_the_states_of_the_published_loop(block: int, explore: int, high: float, reach: float) -> None:
    made = make_strategy("slow-fast", threshold=high, explore=explore, reach=reach)
    ours = states(made, steps=32, length=18, prompt=[3, 7], block_length=block)
    assert moving(ours) == written_out([3, 7], 18, block, explore, high, reach)
