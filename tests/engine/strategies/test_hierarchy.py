"""Hierarchical decoding, by hand and on a toy."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from engine.records import Change
from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.strategies.views import spelled, view
from tests.engine.zoo import MASK, ZooToy, states
from tests.engine.zoo import spelled as state_of

SURE = [0.6, 0.5, 0.45, 0.2, 0.3, 0.9, 0.95, 0.41]


@pytest.mark.parametrize(
    ("knobs", "done"),
    [
        ({}, "+-----+-"),  # runs 0 to 1, 3 to 4 (below .4) and 6 to 7
        ({"low": 0.25}, "+---+-+-"),
        ({"threshold": 0.4}, "++----++"),
        ({"low": 0.98}, "------+-"),  # the surest of all
        # the third is no mask, but below .5 it is opened: runs 0 to 4 and 6 to 7, of which two are enough
        ({"remask": 0.5}, "+-x---+-"),
        # opened and sure enough: it takes the argmax of now
        ({"remask": 0.5, "threshold": 0.43}, "++e---+-"),
        # three opened at most: one more has to be revealed than is opened
        ({"remask": 0.92, "low": 0.93}, "+-x--e+-"),
    ],
)
def test_the_surest_of_each_run_is_revealed(knobs: dict[str, Any], done: str) -> None:
    made = make_strategy("hierarchy", **knobs)
    state = "__5__7__"
    assert spelled(made.plan(view(made, state, confidence=SURE)), state) == done


def test_of_the_equally_sure_of_a_run_the_leftmost_is_revealed() -> None:
    made = make_strategy("hierarchy")
    assert spelled(made.plan(view(made, "__.__", confidence=[0.5] * 5)), "__.__") == "+--+-"


def test_a_mask_of_the_left_edge_is_no_neighbour_of_one_of_the_right() -> None:
    made = make_strategy("hierarchy")
    assert spelled(made.plan(view(made, "_1_", confidence=[0.5, 0.9, 0.6])), "_1_") == "+-+"


def test_runs_fall_in_two_until_nothing_is_masked() -> None:
    model = ZooToy()
    found = states(make_strategy("hierarchy", low=0.0), model=model, steps=16, length=18, prompt=[3, 7])
    assert len(model.seen) < 16
    for before, after in pairwise(found):
        filled = [i for i in range(18) if before[i] == "_" != after[i]]
        assert len(filled) == len(re.findall("_+", before))
    assert "_" not in found[-1]


def test_opened_tokens_change_or_are_masked_and_nothing_without_the_knob() -> None:
    runs = {}
    for remask in (0.0, 0.8):
        made = make_strategy("hierarchy", remask=remask)
        frames = list(Session(ZooToy(), made, steps=40, length=18, prompt=[3, 7], temperature=0.0))
        runs[remask] = {change: sum(frame.count(change) for frame in frames) for change in Change}
        assert not np.any(frames[-1].tokens == MASK)
    assert runs[0.0][Change.EDITED] == runs[0.0][Change.REMASKED] == 0
    assert runs[0.8][Change.EDITED] > 0
    assert runs[0.8][Change.REMASKED] > 0


def written_out(prompt: list[int], length: int, low: float, threshold: float, remask: float, calls: int) -> list[str]:
    """Return the states of the published loop, whose prompt is never opened."""
    model, tokens = ZooToy(), torch.full((1, length), MASK)
    tokens[0, : len(prompt)] = torch.tensor(prompt)
    found = [state_of(tokens[0])]
    while (tokens[0] == MASK).any() and len(found) <= calls:
        sure, ids = torch.softmax(model.project(model.encode(tokens, torch.zeros(1)))[0].double(), -1).max(-1)
        masked = [int(token) == MASK for token in tokens[0]]
        opened = [i for i in range(len(prompt), length) if not masked[i] and sure[i] < remask]
        fillable = [masked[i] or i in opened for i in range(length)]
        runs = re.finditer("m+", "".join("m" if one else "." for one in fillable))
        chosen = {max(range(*run.span()), key=lambda i: float(sure[i])) for run in runs}
        chosen = {i for i in chosen if sure[i] > low} | {
            i for i in range(length) if fillable[i] and sure[i] > threshold
        }
        rest = sorted((i for i in range(length) if fillable[i] and i not in chosen), key=lambda i: -float(sure[i]))
        chosen |= set(rest[: max(0, len(opened) + 1 - len(chosen))])
        for i in range(length):
            if i in chosen:
                tokens[0, i] = ids[i]
            elif i in opened:
                tokens[0, i] = MASK
        found.append(state_of(tokens[0]))
    return found


@pytest.mark.parametrize("remask", [0.0, 0.4, 0.6, 0.8, 0.95])
@pytest.mark.parametrize(("low", "threshold"), [(0.4, 1.0), (0.4, 0.9), (0.9, 0.5), (0.0, 1.0)])
def test_it_steps_through_the_states_of_the_published_loop(low: float, threshold: float, remask: float) -> None:
    made = make_strategy("hierarchy", low=low, threshold=threshold, remask=remask)
    ours = states(made, steps=24, length=18, prompt=[3, 7])
    theirs = written_out([3, 7], 18, low, threshold, remask, 24)
    # a loop that has not ended within the steps is cleaned up in ours
    assert ours[: len(theirs)] == theirs
    assert "_" not in ours[-1]
