"""Guidance and end-of-text settings: as LLaDA's code stepped, for every strategy, refused where they mean nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.debug.claims import Claims
from engine.debug.laws import LawState, check_laws
from engine.records import Settings
from engine.sampling import guidance
from engine.sampling.batch import samples
from engine.sampling.session import Session
from engine.strategies import REGISTRY, make_strategy, reads_of
from tests.engine.toys import MASK, Toy
from tests.engine.zoo import END, ZooToy, published, states

EOT = 9
"""what stands for LLaDA's end of turn in the published runs"""


class EndingZooToy(ZooToy):
    def __init__(self, *ends: int) -> None:
        super().__init__()
        self.ends = ends


class EndingToy(Toy):
    ends = (2,)


SETTINGS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "cfg_scale": ({}, ()),
    "logits_eos_inf": ({"eos_bias": -1000.0}, (END,)),
    "confidence_eos_eot_inf": ({"eos_confidence": "as-published"}, (END, EOT)),
}
"""by the authors' name of a setting: ours, and the end-of-text tokens that it acts on"""


def runs() -> list[Any]:
    """Return the published runs with one of the settings.

    Left out: the one at temperature 1e-9, where the authors' code excludes the end of a turn alone.
    """
    found = [(name, one) for one in published("llada") for name in SETTINGS if name in one and "temperature" not in one]
    found += [("cfg_scale", one) for one in published("llada") if "cfg_scale" in one]
    return [pytest.param(name, one, id=f"{name} {one['steps']} {one['block_length']}") for name, one in found]


@pytest.mark.parametrize(("name", "run"), runs())
def test_low_confidence_steps_through_the_states_of_llada(name: str, run: dict[str, Any]) -> None:
    more, ends = SETTINGS[name]
    guided = {"cfg": run["cfg_scale"]} if name == "cfg_scale" else more
    ours = states(
        make_strategy("low-confidence"), model=EndingZooToy(*ends), steps=run["steps"], prompt=run["prompt"],
        length=len(run["prompt"]) + run["gen_length"], block_length=run["block_length"], **guided,
    )  # fmt: skip
    assert ours == run["states"]


def test_guidance_is_the_formula() -> None:
    own, free = torch.tensor([[1.0, 2.0, -torch.inf]]), torch.tensor([[0.5, 3.0, 0.0]])
    found = guidance.logits_of(Toy(), Settings("mdlm", cfg=1.5), guidance.Hidden(own, free))
    assert found.tolist() == [[0.5 + 2.5 * 0.5, 3 - 2.5, -torch.inf]]


PROMPT = [0, 3, 1]


@pytest.mark.parametrize("name", REGISTRY)
def test_guidance_acts_for_every_strategy_and_takes_two_calls(name: str) -> None:
    """Where the second row has the same logits nothing changes; where it has others the text does."""
    shape: dict[str, Any] = {"steps": 8, "length": 24, "prompt": PROMPT, "seed": 2}

    class Deaf(Toy):
        def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
            return super().encode(torch.cat((tokens[:, :3] * 0, tokens[:, 3:]), 1), t)

    plain, guided, deaf, deaf_guided = (
        list(Session(model, make_strategy(name), cfg=w, **shape))[-1]
        for model, w in ((Toy(), 0.0), (Toy(), 4.0), (Deaf(), 0.0), (Deaf(), 4.0))
    )
    assert guided.tokens.tolist() != plain.tokens.tolist()
    assert deaf_guided.tokens.tolist() == deaf.tokens.tolist()
    assert deaf_guided.network_calls == 2 * deaf.network_calls
    without = {**shape, "prompt": ()}
    unguided, bare = (list(Session(Toy(), make_strategy(name), cfg=w, **without))[-1] for w in (4.0, 0.0))
    assert unguided.tokens.tolist() == bare.tokens.tolist()
    assert unguided.network_calls == bare.network_calls


class GuidingToy(Toy):
    """Guides by itself: its logits are those of the text and of the text without the prompt, put together."""

    weight = 2.0

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        bare = tokens.clone()
        bare[:, : len(PROMPT)] = MASK
        own, free = super().encode(tokens, t), super().encode(bare, t)
        return torch.where(own.isneginf(), own, free + (self.weight + 1) * (own - free))


LIVELY: dict[str, dict[str, Any]] = {
    "klass": {"confidence": 0.2, "kl": 0.5}, "wino": {"threshold": 0.2}, "slow-fast": {"explore": 2, "reach": 0.2},
}  # fmt: skip
"""Knobs at which a strategy does more than its least on the toy."""


@pytest.mark.parametrize("blocks", [None, 7])
@pytest.mark.parametrize("name", REGISTRY)
def test_every_strategy_steps_under_guidance_as_on_a_network_that_guides_itself(name: str, blocks: int | None) -> None:
    strategy = make_strategy(name, **LIVELY.get(name, {}))
    shape: dict[str, Any] = {"steps": 9, "length": 24, "prompt": PROMPT, "seed": 2, "batch": 2, "block_length": blocks}
    guided = Session(Toy(), strategy, cfg=GuidingToy.weight, **shape)
    frames = list(guided)
    assert [frame.tokens.tolist() for frame in frames] == [
        frame.tokens.tolist() for frame in Session(GuidingToy(), strategy, **shape)
    ]
    guided.rewind(5)
    assert [frame.tokens.tolist() for frame in guided] == [frame.tokens.tolist() for frame in frames[5:]]


class Shadows:
    """Predicts standing tokens as if all that are asked for were masked, in one call."""

    shadows = True

    def encode_shadow(self: Any, tokens: Tensor, t: Tensor, where: Tensor, block: Tensor) -> Tensor:
        hidden: Tensor = self.encode(tokens.masked_fill(where, MASK), t)[where]
        return hidden


class ShadowToy(Shadows, Toy):
    pass


class GuidingShadowToy(Shadows, GuidingToy):
    pass


@pytest.mark.parametrize("name", ["wino", "informed-corrector"])
def test_shadows_are_guided_too(name: str) -> None:
    strategy = make_strategy(name, verify="shadow", **LIVELY.get(name, {}))
    shape: dict[str, Any] = {"steps": 9, "length": 24, "prompt": PROMPT, "seed": 2, "batch": 2}
    guided, own = (
        list(Session(model, strategy, cfg=w, **shape))
        for model, w in ((ShadowToy(), GuidingToy.weight), (GuidingShadowToy(), 0.0))
    )
    assert [frame.tokens.tolist() for frame in guided] == [frame.tokens.tolist() for frame in own]
    assert guided[-1].network_calls == 2 * own[-1].network_calls


@pytest.mark.parametrize("name", REGISTRY)
def test_a_bias_forbids_or_forces_the_end_for_every_strategy(name: str) -> None:
    for bias, share in ((-1000.0, 0.0), (1000.0, 1.0)):
        *_, last = Session(EndingToy(), make_strategy(name), steps=8, length=24, seed=2, eos_bias=bias)
        assert (last.tokens == 2).mean() == share


def test_excluded_ends_come_last_and_leave_other_confidences_alone() -> None:
    logits = torch.tensor([[0.0, 1.0, 3.0, 0.0, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0, 0.0, 0.0]])
    ids = torch.tensor([2, 1])
    sure = torch.softmax(logits[:, :MASK].double(), -1).gather(-1, ids[:, None])[:, 0]
    found = {
        how: guidance.confidence(EndingToy(), Settings("mdlm", eos_confidence=how), logits, ids, sure).tolist()
        for how in ("kept", "excluded", "as-published")
    }
    assert found["kept"] == sure.tolist()
    assert found["excluded"] == [0, sure[1]]
    assert found["as-published"][0] == 0
    assert found["as-published"][1] > sure[1]
    *frames, _ = Session(
        EndingToy(), make_strategy("low-confidence"), steps=24, length=24, temperature=0, eos_confidence="excluded"
    )
    order = [int(frame.tokens[frame.change == 2][0]) for frame in frames if (frame.change == 2).any()]
    ended = [token == 2 for token in order]
    assert any(ended)
    assert ended == sorted(ended)


def test_packed_samples_under_guidance_are_those_of_a_session() -> None:
    shape: dict[str, Any] = {"steps": 8, "length": 12, "seed": 1, "prompt": PROMPT, "cfg": 2.0, "block_length": 5}
    session = Session(Toy(), make_strategy("low-confidence"), batch=5, **shape)
    frames = list(session)
    packed = sorted(
        samples(Toy(), make_strategy("low-confidence"), range(5), width=2, **shape), key=lambda done: done[0]
    )
    assert torch.equal(torch.stack([done.tokens for done in packed]), session.tokens)
    assert sum(done.network_calls for done in packed) == frames[-1].network_calls


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="has no token that ends a text: leave eos_bias at 0"):
        Session(Toy(), make_strategy("mdlm"), steps=4, length=8, eos_bias=-1.0)
    session = Session(Toy(), make_strategy("mdlm"), steps=4, length=8)
    with pytest.raises(ValueError, match="has no token that ends a text"):
        session.set(eos_confidence="excluded")
    with pytest.raises(ValueError, match="cfg must lie in 0 to 100, not -1"):
        session.set(cfg=-1)
    with pytest.raises(ValueError, match="eos_confidence"):
        session.set(eos_confidence="nosuch")


@pytest.mark.parametrize("name", ["mdlm", "low-confidence"])
def test_the_calls_of_a_guided_run_are_as_planned(name: str) -> None:
    strategy, state = make_strategy(name), LawState()
    claims = Claims(strategy.preserves_marginal, reads_of(strategy))
    for frame in Session(Toy(), strategy, cfg=1.0, steps=8, length=24, prompt=PROMPT, seed=2):
        state, broken = check_laws(frame, claims, state, (0, 24))
        assert "calls" not in [violation.law for violation in broken]
