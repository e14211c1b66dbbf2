"""The network of the published runs is rebuilt here, and LLaDA's own rule steps through the same states on it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.strategies import make_strategy
from tests.engine.zoo import ZooToy, published, states

OURS = {"gen_length", "temperature", "remasking", "steps", "block_length", "prompt", "calls", "states", "events"}
"""Settings of our runs without guidance or a bias.

Left out are the two networks that may predict the mask: the published code counts it as revealed and leaves it there;
ours never draws it (SUBS).
"""


def llada() -> list[Any]:
    plain = [one for one in published("llada") if set(one) <= OURS and one.get("remasking") != "random"]
    return [pytest.param(one, id=f"{one['steps']} steps, blocks of {one['block_length']}") for one in plain]


@pytest.mark.parametrize("run", llada())
def test_low_confidence_steps_through_the_states_of_llada(run: dict[str, Any]) -> None:
    length = len(run["prompt"]) + run["gen_length"]
    ours = states(
        make_strategy("low-confidence"), model=ZooToy(), steps=run["steps"], length=length, prompt=run["prompt"],
        block_length=run["block_length"],
    )  # fmt: skip
    assert ours == run["states"]
