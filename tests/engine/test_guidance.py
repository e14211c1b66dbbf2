"""Guidance and end-of-text settings: as LLaDA's code stepped, for every strategy, refused where they mean nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.debug.claims import Claims
from engine.debug.laws import LawState, check_laws
from engine.records import Settings
from engine.sampling import guidance
from engine.sampling.batch import samples
from engine.sampling.guidance import Certainty
from engine.sampling.session import Session
from engine.strategies import REGISTRY, asks_network, make_strategy, reads_of
from tests.engine.toys import MASK, Toy
from tests.engine.zoo import END, ZooToy, published, states

EOT = 9
"""what stands for LLaDA's end of turn in the published runs"""


class EndingZooToy(ZooToy):
    def __init__(self, *ends: int) -> None:
        super().__init__()
        self.ends, self.turn_ends = ends, ends[1:]


class EndingToy(Toy):
    ends: tuple[int, ...] = (2,)
    turn_ends: tuple[int, ...] = ()


SETTINGS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "cfg_scale": ({}, ()),
    "logits_eos_inf": ({"eos_bias": -1000.0}, (END,)),
    "confidence_eos_eot_inf": ({"eos_confidence": "as-published"}, (END, EOT)),
}
"""by the authors' name of a setting: ours, and the end-of-text tokens that it acts on"""


def runs() -> list[Any]:
    """Return the published runs with one of the settings."""
    found = [(name, one) for one in published("llada") for name in SETTINGS if name in one]
    told = ("steps", "block_length", "temperature")
    return [pytest.param(n, run, id=" ".join([n, *(str(run[key]) for key in told if key in run)])) for n, run in found]


@pytest.mark.parametrize(("name", "run"), runs())
def test_low_confidence_steps_through_the_states_of_llada(name: str, run: dict[str, Any]) -> None:
    more, ends = SETTINGS[name]
    guided = {"cfg": run["cfg_scale"]} if name == "cfg_scale" else more
    ours = states(
        make_strategy("low-confidence"), model=EndingZooToy(*ends), steps=run["steps"], prompt=run["prompt"],
        length=len(run["prompt"]) + run["gen_length"], block_length=run["block_length"],
        temperature=run.get("temperature", 0.0), **guided,
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
    shape: dict[str, Any] = {"steps": 6, "length": 24, "prompt": PROMPT, "seed": 2, "batch": 2, "block_length": blocks}
    guided = Session(Toy(), strategy, cfg=GuidingToy.weight, **shape)
    frames = list(guided)
    assert [frame.tokens.tolist() for frame in frames] == [
        frame.tokens.tolist() for frame in Session(GuidingToy(), strategy, **shape)
    ]
    guided.rewind(3)
    assert [frame.tokens.tolist() for frame in guided] == [frame.tokens.tolist() for frame in frames[3:]]


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


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_excluded_ends_are_the_least_sure_by_every_measure_and_leave_others_alone() -> None:
    """Position 0 draws the end, position 1 another token, position 2 has the end standing."""
    end = [0.0, 1.0, 3.0, 0.0, 0.0, 0.0]
    logits = torch.tensor([end, [0.0, 2.0, 1.0, 0.0, 0.0, 0.0], end])
    ids, masks = torch.tensor([2, 1, 2]), torch.tensor([True, True, False])
    sure, even = column(0.7, 0.5, 0.7), column(0.4, 0.3, 0.4)
    seen, found = Certainty(sure, even, even, column(3, 2, 3), column(1, 2, 3)), {}
    for how in ("kept", "excluded", "as-published"):
        settings = Settings("mdlm", temperature=0, eos_confidence=how)
        found[how] = guidance.certainty(EndingToy(), settings, logits, ids, seen, masks)
    assert found["kept"] is seen
    last = [0, 0, math.log(EndingToy.vocab_size), -math.inf, -math.inf]
    for how in ("excluded", "as-published"):
        assert [float(values[0]) for values in found[how]] == last
        assert [float(values[2]) for values in found[how]] == [float(values[2]) for values in seen]
    assert [float(values[1]) for values in found["excluded"]] == [float(values[1]) for values in seen]
    # without the end 1, 2, 0, 0 and 0 are left at position 1: e^2 of e^2 + 3
    others, p = found["as-published"], math.e**2 / (math.e**2 + 3)
    assert float(others.confidence[1]) == pytest.approx(p)
    assert float(others.margin[1]) == pytest.approx(p - 1 / (math.e**2 + 3))
    assert float(others.entropy[1]) == pytest.approx(-p * math.log(p) - (1 - p) * math.log((1 - p) / 3))
    assert float(others.logit[1]) == 2


def test_what_is_not_read_stays_unread() -> None:
    logits, nothing = torch.zeros(1, MASK + 1), column(math.nan)
    seen = Certainty(column(0.2), nothing, nothing, nothing, nothing)
    for how in ("excluded", "as-published"):
        settings = Settings("mdlm", temperature=0, eos_confidence=how)
        found = guidance.certainty(EndingToy(), settings, logits, torch.tensor([2]), seen, torch.tensor([True]))
        assert float(found.confidence) == 0
        assert all(values.isnan() for values in found[1:])


def test_lladas_code_takes_out_the_end_of_an_answer_alone_above_temperature_0() -> None:
    logits, masks, nothing = torch.zeros(2, MASK + 1), torch.tensor([True, True]), column(math.nan, math.nan)
    model, seen = EndingToy(), Certainty(column(0.2, 0.2), *(nothing,) * 4)
    model.ends, model.turn_ends = (2, 3), (3,)
    settings = Settings("mdlm", temperature=1, eos_confidence="as-published")
    found = guidance.certainty(model, settings, logits, torch.tensor([2, 3]), seen, masks)
    assert found.confidence.tolist() == [0.25, 0]


CHOOSES = [name for name in REGISTRY if asks_network(make_strategy(name)) and name != "informed-corrector"]
"""Strategies that choose masks by the network; the informed corrector reveals by chance."""


@pytest.mark.parametrize("name", CHOOSES)
def test_excluded_ends_come_last_under_every_strategy_that_chooses_by_the_network(name: str) -> None:
    """The first token that is revealed is no end where there is another to choose, and is one without the setting."""

    class Sure(EndingToy):
        """Surest of an end at position 0, and of other tokens elsewhere, whatever stands."""

        def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
            logits = torch.zeros(*tokens.shape, self.vocab_size)
            logits[:, 0, 2] = 9.0
            logits[:, 1:, 1] = torch.linspace(4.0, 3.0, tokens.shape[1] - 1)
            return logits

        def quality(self, hidden: Tensor) -> Tensor:
            return hidden.amax(-1)

    orders = {}
    for how in ("kept", "excluded"):
        session = Session(Sure(), make_strategy(name), steps=8, length=8, temperature=0, eos_confidence=how)
        first = next(frame for frame in session if (frame.change == 2).any())
        orders[how] = first.tokens[0, 0] == 2
    assert orders == {"kept": True, "excluded": False}


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
