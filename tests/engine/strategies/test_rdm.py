"""RDM against its rule written out as a loop, and against P2, which it is where the two say the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from engine.sampling.session import Session
from engine.strategies import Prediction, View, make_strategy, reads_of
from engine.strategies.rdm import Rdm
from tests.engine.stats import ENOUGH, FAR_OFF, outcome, same_distribution
from tests.engine.test_contract import dense_trajectories
from tests.engine.toys import MASK, Toy
from tests.engine.zoo import MASK as HOLE
from tests.engine.zoo import ZooToy, likenesses, published, spelled, states

KINDS = ("gumbel", "vanilla", "argmax")


def loop(kind: str, schedule: str, steps: int, prompt: list[int], length: int, condition: str = "uncond") -> list[str]:
    """Return the states of `_reparam_decoding` at temperature 0, one position after the other."""
    text = prompt + [HOLE] * (length - len(prompt))
    known = [0.0] * length
    texts = [spelled(np.array(text))]
    free = range(len(prompt), length)
    for t in range(1, steps + 1):
        logits = ZooToy().encode(torch.tensor([text]), torch.zeros(1))[0].double()
        logits[:, HOLE] = -math.inf
        fresh = [int(row.argmax()) for row in logits]
        score = [float(row.max() if kind == "argmax" else row.log_softmax(-1).max()) for row in logits]
        rate = 1 - t / steps if schedule == "linear" else math.cos(math.pi * t / (2 * steps))
        lowest = sorted(free, key=lambda i: score[i])[: math.floor(len(free) * rate + 1e-9)]
        before, text = text, list(text)
        for i in free:
            falls = fresh[i] == before[i] and score[i] < known[i]
            if i in lowest and (condition == "uncond" or falls):
                text[i] = HOLE
            elif i not in lowest and before[i] == HOLE:
                text[i], known[i] = fresh[i], score[i]
        texts.append(spelled(np.array(text)))
    return texts


@pytest.mark.parametrize("condition", ["uncond", "cond"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [1, 5, 16, 24])
def test_without_noise_it_steps_through_the_states_of_a_plain_loop(
    kind: str, schedule: str, steps: int, condition: str
) -> None:
    prompt = [3, 7]
    ours = states(Rdm(sampling=kind, schedule=schedule, condition=condition), steps=steps, length=18, prompt=prompt)
    assert ours == loop(kind, schedule, steps, prompt, 18, condition)


def test_the_condition_spares_some_tokens_and_masks_others() -> None:
    """Both are masked without it: one is drawn again and scores less, one scores more, at one another is drawn."""
    made = Rdm(condition="cond")
    p = torch.tensor([[0.2, 0.3, 0.1, 0.9]], dtype=torch.float64)
    tokens, fresh = torch.tensor([[1, 2, 3, MASK]]), torch.tensor([[1, 2, 0, 4]])
    masked = tokens == MASK
    times = (torch.tensor([[x]], dtype=torch.float64) for x in (0.9, 0.75, 0.1, 0.25))
    memory = {"score": torch.tensor([[0.4, 0.25, 0.4, 0.0]], dtype=torch.float64).log()}
    seen = Prediction.blank(p)._replace(ids=fresh, confidence=p)
    plan = made.plan(View(*times, masked, ~masked, p, prediction=seen, memory=memory, tokens=tokens))
    assert plan.remask[0].tolist() == [1, 0, 0, 0]
    assert plan.unmask[0, 3] == 1
    assert plan.memory is not None
    assert plan.memory["score"].exp()[0].tolist() == pytest.approx([0.4, 0.25, 0.4, 0.9])
    assert made.keeps_quota() == ""


def test_the_logit_and_its_probability_choose_otherwise() -> None:
    assert loop("argmax", "linear", 16, [3, 7], 18) != loop("vanilla", "linear", 16, [3, 7], 18)
    assert loop("vanilla", "linear", 16, [3, 7], 18) != loop("vanilla", "linear", 16, [3, 7], 18, "cond")


def test_its_states_have_the_frequencies_of_p2_at_eta_one() -> None:
    """P2 and RDM with a Gumbel argmax are one rule then, and the noise of both is at temperature 1."""
    run = published("p2", laws=True)[0]
    assert (run["score"], run["eta"], run["tau"]) == ("logP", 1, 1)
    shape = {"steps": run["num_steps"], "length": run["length"]}
    assert min(likenesses(Rdm(), run, **shape)) > ENOUGH
    for wrong in (Rdm(sampling="vanilla"), Rdm(topk="stochastic", scale=2.0)):
        assert min(likenesses(wrong, run, **shape)) < FAR_OFF


@pytest.mark.parametrize(
    "knobs", [{"topk": "stochastic"}, {"sampling": "argmax"}, {"sampling": "vanilla"}, {"condition": "cond"}], ids=str
)
def test_its_trajectories_are_distributed_as_the_dense_update(knobs: dict[str, Any]) -> None:
    settings = {"temperature": 0.7, "top_p": 0.95, "nucleus": "inclusive"}
    ours = trajectories(Rdm(**knobs), **settings)
    assert same_distribution(ours, dense_trajectories(Rdm(**knobs), **settings)) > ENOUGH
    assert same_distribution(ours, dense_trajectories(Rdm(), **settings)) < FAR_OFF


def trajectories(strategy: Rdm, **settings: Any) -> Any:
    session = Session(Toy(), strategy, steps=4, length=3, batch=12_000, seed=3, **settings)
    return outcome(*(frame.tokens for frame in session if not frame.final), base=MASK + 1)


def test_its_own_noise_falls_with_the_masked_share() -> None:
    """log p = -1.61, -.69, -2.30 and Gumbel noise of 0, 0 and 2; at rate 1/2 and scale 2 the scores end at -.30.

    Of 3 positions 1 is masked: without noise the third, with it the first.
    """
    p = torch.tensor([[0.2, 0.5, 0.1]], dtype=torch.float64)
    even, two = math.exp(-1), math.exp(-math.exp(-2))
    noise = torch.tensor([[even, even, two]], dtype=torch.float64)
    masked = torch.ones(1, 3, dtype=torch.bool)
    times = [torch.tensor([[x]], dtype=torch.float64) for x in (0.6, 0.5, 0.4, 0.5)]
    view = View(*times, masked, ~masked, p, prediction=Prediction.blank(p)._replace(confidence=p))
    assert Rdm().plan(view).unmask.tolist() == [[1, 1, 0]]
    noisy = View(*times, masked, ~masked, p, prediction=view.prediction, noise=noise)
    assert Rdm(topk="stochastic", scale=2.0).plan(noisy).unmask.tolist() == [[0, 1, 1]]
    assert Rdm(topk="stochastic", scale=0.1).plan(noisy).unmask.tolist() == [[1, 1, 0]]


def test_what_is_read_follows_the_knobs() -> None:
    assert reads_of(Rdm) == reads_of(Rdm()) == {"committed", "drawn", "noised"}
    assert reads_of(Rdm(sampling="vanilla")) == {"committed", "drawn", "tempered"}
    assert reads_of(Rdm(sampling="argmax", topk="stochastic")) == {"committed", "drawn", "logit", "noise"}


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"schedule": "loop"}, "schedule must be one of linear, cosine, not 'loop'"),
        ({"sampling": "beam"}, "sampling must be one of gumbel, vanilla, argmax, not 'beam'"),
        ({"topk": "both"}, "topk must be one of deterministic, stochastic, not 'both'"),
        ({"scale": 11}, "scale must lie in 0 to 10, not 11"),
    ],
)
def test_a_bad_knob_is_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_strategy("rdm", **knobs)
