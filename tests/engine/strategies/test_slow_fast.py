"""SlowFast sampling: by hand, and against its loop written out over whole distributions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.session import Session
from engine.strategies import Plan, View, make_strategy
from engine.strategies.low_confidence import LowConfidence
from tests.engine.stats import ENOUGH, FAR_OFF, outcome, same_distribution
from tests.engine.strategies.views import moving, spelled, view
from tests.engine.toys import MASK as TOY_MASK
from tests.engine.toys import RowToy, Toy
from tests.engine.zoo import MASK, ZooToy, states
from tests.engine.zoo import spelled as state_of

Array = np.ndarray[Any, np.dtype[Any]]


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
        (memory(0, 4, 6, 4, 1), [0.2, 0.1, 0.1, 0.1, 0.99, 0.99], "+-----", memory(0, 4, 7, 4, 1)),
        (memory(1, 4, 7, 4, 1), [0.9, 0.9, 0.1, 0.9, 0.99, 0.99], "-+-+--", memory(1, 4, 7, 4, 1)),
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


def written_out(
    prompt: list[int], length: int, block: int, explore: int, high: float, reach: float, cut: bool
) -> list[str]:
    """Return the states of the published loop; cut: its fast calls after the first see no further than the cycle."""
    model, tokens = ZooToy(), torch.full((1, length), MASK)
    tokens[0, : len(prompt)] = torch.tensor(prompt)
    found = [state_of(tokens[0])]

    def call(end: int) -> tuple[Array, Array]:
        p = torch.softmax(model.project(model.encode(tokens[:, :end], torch.zeros(1)))[0].double(), -1)
        sure, ids = p.max(-1)
        return sure.masked_fill(tokens[0, :end] != MASK, -1).numpy(), ids.numpy()

    def fill(sure: Array, ids: Array, first: int, end: int) -> None:
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
                sure, ids = call(length)
                if agreed is None:
                    far = [i for i in range(at + done, at + block) if sure[i] >= reach]
                    lengths.append(min(block, done + (far[-1] - at - done + 1 if far else 1)))
                    if len(lengths) > 1 and np.std(lengths[-2:]) < 1:
                        agreed = lengths[-1]
                fill(sure, ids, at + done, at + block)
            end = int(np.mean(lengths[-2:])) if agreed is None else agreed
            fast = 0
            while (tokens[0, at + done : at + end] == MASK).any():
                fill(*call(at + end if cut and fast else length), at + done, at + end)
                fast += 1
            done = end
    return moving(found)


@pytest.mark.parametrize("block", [16, 8])
@pytest.mark.parametrize("explore", [1, 2, 6])
@pytest.mark.parametrize(("high", "reach"), [(0.9, 0.3), (0.5, 0.6), (0.99, 0.95)])
@pytest.mark.parametrize("cut", ["yes", "no"])
def test_it_steps_through_the_states_of_the_published_loop(
    block: int, explore: int, high: float, reach: float, cut: str
) -> None:
    made = make_strategy("slow-fast", threshold=high, explore=explore, reach=reach, cut=cut)
    ours = states(made, steps=32, length=18, prompt=[3, 7], block_length=block)
    assert moving(ours) == written_out([3, 7], 18, block, explore, high, reach, cut == "yes")


def test_the_network_is_shown_the_text_up_to_the_cycle_s_end_from_the_second_fast_call_on() -> None:
    made = make_strategy("slow-fast")
    shown = {}
    for calls in (5, 6, 7):
        seen = view(made, "..____", t=0.5, memory=memory(0, 3, calls, 3, 1))
        shown[calls] = made.sees(seen)
    assert {calls: end.item() for calls, end in shown.items() if end is not None} == {5: 6, 6: 6, 7: 5}


def test_rows_at_other_ends_are_read_as_each_alone() -> None:
    made, whole = (make_strategy("slow-fast", explore=1, threshold=0.99, reach=0.5, cut=cut) for cut in ("yes", "no"))
    shape: dict[str, Any] = {"steps": 14, "length": 12, "seed": 3, "top_p": 1.0}
    together = [frame.tokens for frame in Session(Toy(), made, batch=7, **shape)]
    for number in range(7):
        alone = [frame.tokens[0] for frame in Session(RowToy(), made, first=number, **shape)]
        assert all((one == both[number]).all() for one, both in zip(alone, together, strict=False))
    other = [frame.tokens for frame in Session(Toy(), whole, batch=7, **shape)]
    assert (other[-1] != together[-1]).any()


def outcomes(cut: str, dense: bool) -> Any:
    """Return outcome numbers of trajectories whose fast calls begin at once, by the engine or by the oracle."""
    made = make_strategy("slow-fast", explore=1, threshold=0.99, reach=0.35, cut=cut)
    count, length, steps = 8_000, 5, 5
    states: list[Any] = []
    if not dense:
        session = Session(Toy(), made, steps=steps, length=length, batch=count, seed=3, top_p=1.0)
        states = [frame.tokens for frame in session if not frame.final]
    else:
        tokens, noise, memory = torch.full((count, length), TOY_MASK), torch.Generator().manual_seed(5), None
        held = torch.full((count, length), torch.nan, dtype=torch.float64)
        for times in pairwise(made.grid(steps).tolist()):
            t, s = (torch.full((count, 1), time, dtype=torch.float64) for time in times)
            now = oracle.step(Toy(), made, Settings("slow-fast", top_p=1.0), tokens, held, t, s, noise, memory=memory)
            tokens, held, memory = now
            states.append(tokens.numpy())
    return outcome(*states[-2:], base=TOY_MASK + 1)


def test_trajectories_with_texts_cut_off_are_distributed_as_the_dense_update() -> None:
    ours = outcomes("yes", dense=False)
    assert same_distribution(ours, outcomes("yes", dense=True)) > ENOUGH
    assert same_distribution(ours, outcomes("no", dense=True)) < FAR_OFF


def test_what_a_plan_cuts_off_is_not_read() -> None:
    @dataclass(frozen=True)
    class Short(LowConfidence):
        name = "short"

        def sees(self, view: View) -> torch.Tensor:
            return view.masked.sum(-1) * 0 + 3

        def plan(self, view: View) -> Plan:
            assert view.prediction is not None
            seen.append((view.prediction.ids >= 0).tolist())
            return Plan(view.t * 0, view.t * 0)

    seen: list[Any] = []
    next(Session(Toy(), Short(), steps=5, length=5, prompt=[1]))
    assert seen == [[[False, True, True, False, False]]]
