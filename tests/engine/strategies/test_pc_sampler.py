"""PC-Sampler: by hand, and against its formula written out over whole distributions."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.sampling.session import Session
from engine.strategies import knob_files_digest, make_strategy
from tests.engine.strategies.views import spelled, view
from tests.engine.toys import Toy
from tests.engine.zoo import MASK, ZooToy, states
from tests.engine.zoo import spelled as state_of


@pytest.mark.parametrize(
    ("knobs", "revealed"),
    [
        # -p log(1/10) is 1.38, .69, 2.07 and 1.84; weights 1, .78, .61 and .37 at places 0, 1, 2 and 4
        ({"decay": 0.25, "cap": 10}, "+---"),
        ({"decay": 0.0, "cap": 10}, "--+-"),
        ({"decay": 0.25, "cap": 1.5}, "+---"),
        ({"decay": 0.0, "cap": 1.8}, "--+-"),  # two are cut to 1.8: the left one
        ({"decay": 0.15, "cap": 10}, "--+-"),  # 1.38 and 1.53
        ({"decay": 0.15, "cap": 1.5}, "+---"),  # 1.38 and 1.11
    ],
)
def test_confidence_times_surprise_decays_with_the_position(knobs: dict[str, float], revealed: str) -> None:
    made = make_strategy("pc-sampler", **knobs)
    state = ".___1_"
    seen = view(
        made, state, t=0.8, s=0.6, ids=[-1, 3, 3, 3, -1, 3], confidence=[1.0, 0.6, 0.3, 0.9, 1.0, 0.8], vocab_size=10
    )
    assert spelled(made.plan(seen), state) == f"-{revealed[:3]}-{revealed[3]}"


@pytest.mark.parametrize(
    "content",
    [{"num_token": 100, "p_baseline_dict": {"3": 60, "1": 2}}, {"3": 60, "1": 2, "9": 38}],
    ids=["authors' file", "counts alone"],
)
def test_a_common_token_waits(content: Any, tmp_path: Path) -> None:
    """Token 3 has frequency .6 and surprise .51, token 1 .02 and 3.91, token 7 counts once: .01 and 4.61."""
    path = tmp_path / "counts.json"
    path.write_text(json.dumps(content))
    made = make_strategy("pc-sampler", decay=0.0, cap=10.0, background=str(path))
    seen = view(made, "___", t=0.6, s=0.4, ids=[3, 1, 7], confidence=[0.9, 0.3, 0.25])
    # .46, 1.17 and 1.15
    assert spelled(made.plan(seen), "___") == "-+-"
    rare = view(made, "___", t=0.6, s=0.4, ids=[3, 1, 400], confidence=[0.9, 0.3, 0.26])
    assert spelled(made.plan(rare), "___") == "--+"


def test_the_files_that_knobs_name_have_a_digest(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    path.write_text('{"3": 1}')
    first = knob_files_digest("pc-sampler", {"background": str(path)})
    path.write_text('{"3": 2}')
    assert first is not None
    assert knob_files_digest("pc-sampler", {"background": str(path)}) not in (None, first)
    assert knob_files_digest("pc-sampler", {}) is knob_files_digest("pc-sampler", {"background": "uniform"}) is None
    assert knob_files_digest("mdlm", {}) is knob_files_digest("nosuch", {"eta": 1}) is None
    path.unlink()
    with pytest.raises(ValueError, match=r"counts.json, the background of pc-sampler, cannot be read: No such file"):
        knob_files_digest("pc-sampler", {"background": str(path)})
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is a named pipe"):
        knob_files_digest("pc-sampler", {"background": str(path)})
    with pytest.raises(ValueError, match="is a named pipe"):
        next(Session(Toy(), make_strategy("pc-sampler", background=str(path)), steps=4, length=4))


@pytest.mark.parametrize(
    "content", ["", "[1]", "{}", '{"a": 1}', '{"3": -1}', '{"-3": 1}', '{"3": "many"}', "[" * 9999, None]
)
def test_a_file_without_counts_is_refused_in_a_sentence(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    if content is not None:
        path.write_text(content)
    made = make_strategy("pc-sampler", background=str(path))
    with pytest.raises(ValueError, match=r"counts.json holds no token frequencies .*a JSON object of counts by token"):
        next(Session(Toy(), made, steps=4, length=4))


def test_a_background_is_a_word_or_a_file() -> None:
    with pytest.raises(ValueError, match=r"background must be one of uniform, \*\.json, not 'counts.txt'"):
        make_strategy("pc-sampler", background="counts.txt")
    with pytest.raises(ValueError, match="must be one of"):
        make_strategy("pc-sampler", background="*.json")


@pytest.mark.parametrize(("decay", "cap"), [(1.0, 1.0), (0.25, 10.0), (0.0, 10.0), (0.5, 1.5)])
@pytest.mark.parametrize(("steps", "block"), [(16, 16), (5, 16), (8, 4), (16, 8)])
def test_it_steps_by_its_formula(decay: float, cap: float, steps: int, block: int) -> None:
    made = make_strategy("pc-sampler", decay=decay, cap=cap)
    ours = states(made, steps=steps, length=18, prompt=[3, 7], block_length=block)
    model, tokens = ZooToy(), torch.tensor([[3, 7] + [MASK] * 16])
    found = [state_of(tokens[0])]
    each = steps * block // 16
    for first in range(2, 18, block):
        for i in range(each):
            p = torch.softmax(model.project(model.encode(tokens, torch.zeros(1)))[0].double(), -1)
            sure, ids = p.max(-1)
            score = {
                j: math.exp(-decay * (j - first)) * min(-float(sure[j]) * math.log(1 / 12 + 1e-9), cap)
                for j in range(first, first + block)
                if tokens[0, j] == MASK
            }
            count = block // each + (i < block % each)
            for j in sorted(score, key=lambda j: -score[j])[:count]:
                tokens[0, j] = ids[j]
            found.append(state_of(tokens[0]))
    assert ours == found
