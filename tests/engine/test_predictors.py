"""The reference's predictors: the laws of their samples by enumeration, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import engine
from engine.sampling import predictors
from engine.sampling.predictors import PREDICTORS, sample_by_predictor
from engine.sampling.readout import BadLogitsError
from tests.engine.stats import ENOUGH, FAR_OFF, follows, outcome, same_distribution
from tests.engine.toys import MASK, TimedToy, Toy

LENGTH, STEPS, COUNT, EPS = 2, 3, 12_000, 1e-5
FEWER = 4000
"""Samples of our own, which come from a program for other uses than this many of three tokens."""
STATES = list(product(range(MASK + 1), repeat=LENGTH))
Distribution = NDArray[np.float64]
Rows = Callable[[NDArray[np.float64], int, float, float], Distribution]
"""(network's output at a masked position, its position, t, s) -> the law of what it becomes, the mask last"""


class ScoreToy(Toy):
    """Scores that no distribution has: their sum is not what the noise level says."""

    factor = 1.8

    def scores(self, tokens: Tensor, sigma: Tensor) -> Tensor:
        p = torch.softmax(self.encode(tokens, sigma)[:, :, :MASK], -1)
        given = self.factor * p / sigma.expm1()[:, None, None]
        return torch.nn.functional.pad(given, (0, 1), value=7.0).scatter(-1, tokens[:, :, None], 1.0)


class FaintToy(ScoreToy):
    """Scores so small that the mask keeps a weight in the last step too."""

    factor = 0.3


class GreedyToy(ScoreToy):
    """Scores so large that the mask's weight turns negative."""

    factor = 4.0


def sigma_of(t: float) -> float:
    return -math.log(1 - (1 - 1e-3) * t)


def softmax(logits: NDArray[np.float64]) -> Distribution:
    p = np.exp(logits[:MASK] - logits[:MASK].max())
    return np.append(p / p.sum(), 0.0)


def nucleus(p: Distribution, top_p: float) -> Distribution:
    kept, total = np.zeros_like(p), 0.0
    for rank, token in enumerate(np.argsort(-p, kind="stable")):
        total += p[token]
        if rank == 0 or total <= top_p:
            kept[token] = p[token]
    return kept / kept.sum()


def ancestral(alpha: Callable[[float], float], top_p: float = 1.0) -> Rows:
    def rows(logits: NDArray[np.float64], position: int, t: float, s: float) -> Distribution:
        move_t, move_s = 1 - alpha(t), 1 - alpha(s)
        p = softmax(logits)
        out = (nucleus(p, top_p) if top_p < 1 else p) * (move_t - move_s) / move_t
        out[MASK] = move_s / move_t
        return out

    return rows


def tweedie(factor: float = 1.0) -> Rows:
    """exp(dsigma) - 1 times the score for each token, what is left for the mask."""

    def rows(logits: NDArray[np.float64], position: int, t: float, s: float) -> Distribution:
        score = factor * softmax(logits) / math.expm1(sigma_of(t))
        grown = math.expm1(sigma_of(t) - sigma_of(s))
        out = grown * score
        out[MASK] = max(0.0, 1 - grown * score.sum())
        return out / out.sum()

    return rows


def argmax(logits: NDArray[np.float64], position: int, t: float, s: float) -> Distribution:
    return np.eye(MASK + 1)[softmax(logits).argmax()]


def drawn(logits: NDArray[np.float64], position: int, t: float, s: float) -> Distribution:
    return softmax(logits)


LOGLINEAR = ancestral(lambda t: 1 - (1 - 1e-3) * t)
LINEAR = ancestral(lambda t: 1 - t)


def enumerated(model: Toy, step: Rows, last: Rows) -> Distribution:
    """The law of the finished samples, by pushing probability through every state."""
    times = [1 - i * (1 - EPS) / STEPS for i in range(STEPS + 1)]
    p = np.zeros(len(STATES))
    p[STATES.index((MASK,) * LENGTH)] = 1
    for t, s in [*pairwise(times), (times[-1], 0.0)]:
        noise_levels = torch.full((len(STATES),), t)
        logits = model.encode(torch.tensor(STATES), noise_levels).double().numpy()
        moved = np.zeros_like(p)
        for state, weight, seen in zip(STATES, p, logits, strict=True):
            distributions = [
                np.eye(MASK + 1)[token] if token != MASK else (step if s else last)(seen[i], i, t, s)
                for i, token in enumerate(state)
            ]
            for to, after in enumerate(STATES):
                moved[to] += weight * math.prod(distributions[i][token] for i, token in enumerate(after))
        p = moved
    return p


def counted(model: Toy, name: str, **options: Any) -> NDArray[np.int64]:
    made = sample_by_predictor(model, name, steps=STEPS, length=LENGTH, count=COUNT, seed=4, **options)
    return np.bincount(outcome(made.tokens.numpy(), base=MASK + 1), minlength=len(STATES))


CASES = {
    "ddpm": (Toy, "ddpm", {}, LOGLINEAR, argmax),
    "ddpm, timed": (TimedToy, "ddpm", {}, LOGLINEAR, argmax),
    "ddpm_cache": (Toy, "ddpm_cache", {}, LINEAR, argmax),
    "ddpm_cache, timed": (TimedToy, "ddpm_cache", {}, LINEAR, argmax),
    "ddpm_cache, nucleus": (Toy, "ddpm_cache", {"top_p": 0.6}, ancestral(lambda t: 1 - t, 0.6), argmax),
    "analytic of SUBS": (Toy, "analytic", {}, tweedie(), drawn),
    "analytic of SUBS, timed": (TimedToy, "analytic", {}, tweedie(), drawn),
    "analytic of scores": (ScoreToy, "analytic", {}, tweedie(1.8), drawn),
    "analytic of faint scores": (FaintToy, "analytic", {}, tweedie(0.3), drawn),
    "analytic of impossible scores": (GreedyToy, "analytic", {}, tweedie(4.0), drawn),
}


@pytest.mark.parametrize("case", CASES)
def test_samples_have_the_distribution_written_down(case: str) -> None:
    model, name, options, step, last = CASES[case]
    assert follows(counted(model(), name, **options), enumerated(model(), step, last)) > ENOUGH


@pytest.mark.parametrize(
    ("sampled", "other_case"),
    [
        ("ddpm", "ddpm, timed"),
        ("ddpm_cache", "ddpm_cache, timed"),
        ("ddpm_cache", "ddpm_cache, nucleus"),
        ("analytic of scores", "analytic of SUBS"),
        ("analytic of scores", "analytic of impossible scores"),
    ],
)
def test_another_distribution_is_distinguished(sampled: str, other_case: str) -> None:
    model, name, options, *_ = CASES[sampled]
    other, _, _, step, last = CASES[other_case]
    expected = enumerated(other(), step, last) + 1e-12  # what cannot happen there may happen here
    assert follows(counted(model(), name, **options), expected / expected.sum()) < FAR_OFF


@pytest.mark.parametrize(
    ("name", "top_p"), [("ddpm", 1.0), ("ddpm_cache", 1.0), ("ddpm_cache", 0.6), ("analytic", 1.0)]
)
def test_samples_are_those_of_our_mdlm(name: str, top_p: float) -> None:
    """On the same even steps: what of the mask is left at the end, one in 10^5, shows in no statistic."""
    theirs = sample_by_predictor(Toy(), name, steps=5, length=3, count=COUNT, seed=1, top_p=top_p).tokens.numpy()
    strategy = engine.make_strategy("mdlm")
    ours = engine.sample(Toy(), strategy, steps=5, length=3, count=FEWER, seed=2, top_p=top_p, width=FEWER).numpy()
    assert same_distribution(outcome(theirs, base=MASK + 1), outcome(ours, base=MASK + 1)) > ENOUGH


def test_samples_of_another_strategy_are_not_theirs() -> None:
    theirs = sample_by_predictor(Toy(), "ddpm_cache", steps=5, length=3, count=COUNT, seed=1).tokens.numpy()
    strategy = engine.make_strategy("remdm-cap", eta=0.3)
    ours = engine.sample(Toy(), strategy, steps=5, length=3, count=FEWER, seed=2, top_p=1.0, width=FEWER).numpy()
    assert same_distribution(outcome(theirs, base=MASK + 1), outcome(ours, base=MASK + 1)) < FAR_OFF


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_reported_with_their_place(wrong: float) -> None:
    class Broken(ScoreToy):
        def scores(self, tokens: Tensor, sigma: Tensor) -> Tensor:
            given = super().scores(tokens, sigma)
            given[1, 2, 3] = wrong
            return given

    with pytest.raises(BadLogitsError, match="not finite: sample 8, step 0, position 2") as error:
        sample_by_predictor(Broken(), "analytic", steps=3, length=4, count=2, seed=0, first=7)
    assert error.value.places == ((8, 0, 2),)


@pytest.mark.parametrize("name", PREDICTORS)
def test_logits_that_are_not_finite_at_the_end_are_of_the_step_behind_the_last(name: str) -> None:
    class Ends(TimedToy):
        def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
            return super().encode(tokens, t) / (t > 1e-3)[:, None, None]

    with pytest.raises(BadLogitsError, match="step 3") as error:
        sample_by_predictor(Ends(), name, steps=3, length=2, count=1, seed=0)
    assert {step for _, step, _ in error.value.places} == {3}


@pytest.mark.parametrize("name", PREDICTORS)
@pytest.mark.parametrize("kind", [Toy, ScoreToy])
def test_an_id_that_is_no_token_is_never_drawn(kind: type[Toy], name: str) -> None:
    model = kind()
    assert (sample_by_predictor(model, name, steps=3, length=8, count=50, seed=3).tokens == 2).any()
    model.never = (2,)  # type: ignore[attr-defined]
    assert not (sample_by_predictor(model, name, steps=3, length=8, count=50, seed=3).tokens == 2).any()


def test_the_ancestral_distribution_is_written_out() -> None:
    p = torch.tensor([[[0.25, 0.75, 0.0]]], dtype=torch.float64)
    assert predictors.ancestral(p, 2, 0.8, 0.4)[0, 0].tolist() == pytest.approx([0.1, 0.3, 0.4])


@pytest.mark.parametrize("name", ["ddpm", "analytic"])
def test_the_network_is_called_at_every_step_and_at_the_end(name: str) -> None:
    model = Toy()
    made = sample_by_predictor(model, name, steps=40, length=6, count=3, seed=0)
    assert made.network_calls == 41
    assert model.encoded == 3 * 41


@pytest.mark.parametrize("count", [1, 4])
def test_the_caching_predictor_calls_again_only_after_a_token_of_the_batch_changed(count: int) -> None:
    """No more than once at first, once after each of the tokens that come one by one, and once at the end."""
    model = Toy()
    made = sample_by_predictor(model, "ddpm_cache", steps=1500, length=6, count=count, seed=0)
    assert model.encoded == count * made.network_calls
    assert count * 6 <= made.network_calls <= count * 6 + 2


def test_the_caching_predictor_calls_a_network_conditioned_on_the_noise_level_at_every_step() -> None:
    assert sample_by_predictor(TimedToy(), "ddpm_cache", steps=40, length=6, count=1, seed=0).network_calls == 41


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_sample_is_the_same_whatever_the_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    together = sample_by_predictor(Toy(), name, steps=7, length=5, count=6, seed=3).tokens
    alone = sample_by_predictor(Toy(), name, steps=7, length=5, count=1, seed=3, first=4).tokens
    assert torch.equal(alone[0], together[4])
    assert len({tuple(row) for row in together.tolist()}) > 1
    monkeypatch.setattr(predictors, "CELLS", 70)  # two sequences at a time
    assert torch.equal(sample_by_predictor(Toy(), name, steps=7, length=5, count=6, seed=3).tokens, together)


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_prompt_stays_and_no_mask_is_left(name: str) -> None:
    tokens = sample_by_predictor(Toy(), name, steps=3, length=8, count=50, seed=3, prompt=[4, 2]).tokens
    assert tokens.dtype == torch.long
    assert (tokens[:, :2] == torch.tensor([4, 2])).all()
    assert not (tokens == MASK).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "euler"}, "unknown predictor 'euler': choose ddpm, ddpm_cache, analytic"),
        ({"name": "ddpm", "top_p": 0.9}, "ddpm has no nucleus"),
        ({"name": "analytic", "top_p": 0.9}, "analytic has no nucleus"),
        ({"name": "ddpm_cache", "top_p": 0.0}, "top_p must lie in"),
        ({"name": "ddpm", "count": 0}, "count must be at least 1"),
        ({"name": "ddpm", "steps": 0}, "steps must be at least 1"),
        ({"name": "ddpm", "eps": 1.0}, "eps must lie between"),
        ({"name": "ddpm", "length": 1000}, "length 1000 is beyond the model's 128"),
        ({"name": "ddpm", "prompt": [MASK + 1]}, "the prompt holds token 6"),
    ],
)
def test_a_setting_that_cannot_be_says_so(options: dict[str, Any], message: str) -> None:
    given = {"steps": 3, "length": 4, "count": 1, "seed": 0, **options}
    with pytest.raises(ValueError, match=message):
        sample_by_predictor(Toy(), given.pop("name"), **given)


def test_a_model_that_looks_to_the_left_alone_has_no_predictor() -> None:
    model = Toy()
    model.causal = True  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="left-to-right"):
        sample_by_predictor(model, "ddpm", steps=3, length=4, count=1, seed=0)


def third_after(pairs: Tensor, column: int) -> NDArray[np.int64]:
    """Texts of three tokens: these pairs, and what a window with one of their tokens before it has behind it."""
    out = torch.cat((pairs, pairs[:, :1]), 1)
    for token in range(MASK):
        rows = pairs[:, column] == token
        made = sample_by_predictor(
            Toy(), "ddpm_cache", steps=STEPS, length=LENGTH, count=max(1, int(rows.sum())), seed=11, prompt=(token,)
        )
        out[rows, 2] = made.tokens[: int(rows.sum()), 1]
    return outcome(out.numpy(), base=MASK + 1)


def test_windows_are_one_run_after_the_other_behind_what_they_share() -> None:
    """MDLM's sample_subs_guidance: each window has all steps, and begins with the end of the one before."""
    made = sample_by_predictor(
        Toy(), "ddpm_cache", steps=STEPS, length=LENGTH, count=COUNT, seed=4, stride=1, strides=1
    )
    plain = sample_by_predictor(Toy(), "ddpm_cache", steps=STEPS, length=LENGTH, count=COUNT, seed=4)
    assert torch.equal(made.tokens[:, :2], plain.tokens)
    assert plain.network_calls + 1 <= made.network_calls <= 2 * (STEPS + 1)
    got, pairs = outcome(made.tokens.numpy(), base=MASK + 1), plain.tokens
    assert same_distribution(got, third_after(pairs, 1)) > ENOUGH
    assert same_distribution(got, third_after(pairs, 0)) < FAR_OFF


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_sample_of_windows_is_the_same_whatever_the_batch(name: str) -> None:
    shape: dict[str, Any] = {"steps": 4, "length": 6, "seed": 2, "stride": 2, "strides": 2}
    whole = sample_by_predictor(Toy(), name, count=3, **shape).tokens
    assert whole.shape == (3, 10)
    assert not (whole == MASK).any()
    alone = [sample_by_predictor(Toy(), name, count=1, first=number, **shape).tokens[0] for number in range(3)]
    assert torch.equal(torch.stack(alone), whole)


def test_a_place_without_numbers_is_that_of_the_whole_text() -> None:
    class Broken(Toy):
        def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
            hidden = super().encode(tokens, t)
            return hidden if (tokens == MASK).all() else hidden.index_fill(1, torch.tensor([3]), torch.nan)

    with pytest.raises(BadLogitsError) as caught:
        sample_by_predictor(Broken(), "ddpm", steps=1, length=4, count=1, seed=0, stride=2, strides=1)
    assert caught.value.places[0][0] == 0
    with pytest.raises(ValueError, match="a stride must lie in 1 to 3"):
        sample_by_predictor(Toy(), "ddpm", steps=1, length=4, count=1, seed=0, stride=4, strides=1)
