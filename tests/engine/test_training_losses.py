"""Losses against dense computations over a toy's whole table, enumerated expectations and finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.models.time_conditioned import log_scale
from engine.training.losses import EPS, antithetic_times, d3pm_kl, mask_tokens, score_entropy, subs_nll
from engine.training.noise import NOISES, LogLinear, Noise, alpha, masked, slope
from engine.training.objectives.d3pm import D3PM
from engine.training.objectives.mdlm import MDLM
from engine.training.objectives.sedd import SEDD
from tests.engine.toys import MASK, TOKENS, Toy

Term = Callable[[Tensor, int], float]
"""Float64 logits [V] at a masked position and its token -> what the unit weight counts there."""


class Placed(Toy):
    """A network in training says where it is."""

    device = torch.device("cpu")


def some(count: int = 9, length: int = 6) -> tuple[Toy, Tensor, Tensor, Tensor]:
    """A toy, tokens, times, and masks of which one row has none."""
    noise = torch.Generator().manual_seed(2)
    tokens, t = torch.randint(TOKENS, (count, length), generator=noise), antithetic_times(count, noise)
    _, hidden = mask_tokens(tokens, t, MASK, noise)
    hidden[0] = False
    return Toy(), tokens, t, hidden


def summed(model: Toy, tokens: Tensor, hidden: Tensor, term: Callable[[int, Tensor, int], float]) -> list[float]:
    """term(row, logits, token) over masked positions, by sequence and over its length."""
    logits = model.encode(tokens.masked_fill(hidden, MASK), torch.ones(len(tokens))).double()
    rows = range(len(tokens))
    return [
        sum(term(r, logits[r, i], int(tokens[r, i])) for i in range(tokens.shape[1]) if hidden[r, i]) / tokens.shape[1]
        for r in rows
    ]


def test_each_cell_of_time_has_a_uniform_of_its_own() -> None:
    times = antithetic_times(64, torch.Generator().manual_seed(3), eps=0.0).double()
    within = times * 64 - torch.arange(64)
    assert ((within > -1e-5) & (within < 1 + 1e-5)).all()
    # one that all shared would put the times a 64th apart; 64 of their own lie anywhere in 0 to 1
    assert within.min() < 0.1
    assert within.max() > 0.9
    assert abs(float(within.mean()) - 0.5) < 0.15


@pytest.mark.parametrize("name", NOISES)
def test_score_entropy_is_that_of_the_scores_written_out(name: str) -> None:
    model, tokens, t, hidden = some()
    noise = NOISES[name]()
    sigma, rate = noise.sigma(t.double()), noise.rate(t.double())

    def term(row: int, logits: Tensor, token: int) -> float:
        scores = torch.exp(logits - log_scale(sigma[row], TOKENS + 1))[:MASK]
        ratio = 1 / math.expm1(float(sigma[row]))
        entropy = float(scores.sum()) - ratio * math.log(float(scores[token])) + ratio * (math.log(ratio) - 1)
        return float(rate[row]) * entropy

    share = (torch.expm1(sigma) / rate).float()
    states = model.encode(tokens.masked_fill(hidden, MASK), t)
    found = score_entropy(model.project, states, tokens, hidden, share, MASK)
    assert found.tolist() == pytest.approx(summed(model, tokens, hidden, term), rel=1e-4, abs=1e-5)
    capped = score_entropy(model.project, states, tokens, hidden, share, MASK, 2.0)
    assert capped.tolist() == pytest.approx((found * share * (1 / share).clamp(max=2)).tolist(), rel=1e-4)


def test_score_entropy_of_a_distribution_is_cross_entropy() -> None:
    model, tokens, t, hidden = some()

    def project(states: Tensor) -> Tensor:
        logits = states.clone()
        logits[:, MASK] = -torch.inf
        return logits.log_softmax(-1) + math.log(TOKENS)

    states = model.encode(tokens.masked_fill(hidden, MASK), t)
    expected = subs_nll(model.project, states, tokens, hidden, t, MASK)
    torch.testing.assert_close(score_entropy(project, states, tokens, hidden, t, MASK), expected, atol=1e-4, rtol=1e-5)


def transition(kept: float) -> Tensor:
    """[from, to]: what is no mask becomes one with probability 1 - kept."""
    matrix = torch.eye(TOKENS + 1, dtype=torch.float64) * kept
    matrix[:, MASK] += 1 - kept
    return matrix


def posterior(x: Tensor, alpha_t: float, alpha_s: float) -> Tensor:
    """q(z_s | z_t = mask, x) by Bayes' rule for a distribution x, float64 [V]."""
    at_s = x @ transition(alpha_s)
    joint = at_s * transition(alpha_t / alpha_s)[:, MASK]
    return joint / joint.sum()


def divergence(logits: Tensor, token: int, alpha_t: float, alpha_s: float, subs_masking: bool) -> float:
    """KL of the true posterior from the network's, term by term over all V states."""
    if subs_masking:
        logits = logits.index_fill(0, torch.tensor([MASK]), -torch.inf)
    true = posterior(torch.eye(TOKENS + 1, dtype=torch.float64)[token], alpha_t, alpha_s)
    found = posterior(logits.softmax(-1), alpha_t, alpha_s)
    return sum(float(p * (p / q).log()) for p, q in zip(true, found, strict=True) if p > 0)


@pytest.mark.parametrize("subs_masking", [False, True])
@pytest.mark.parametrize("steps", [1, 4, 1000])
def test_the_loss_in_steps_is_the_divergence_of_the_posteriors(subs_masking: bool, steps: int) -> None:
    model, tokens, t, hidden = some()
    now, then = D3PM(LogLinear(0.1), steps).ends(t)

    def term(row: int, logits: Tensor, token: int) -> float:
        return steps * divergence(logits, token, 1 - float(now[row]), 1 - float(then[row]), subs_masking)

    states = model.encode(tokens.masked_fill(hidden, MASK), t)
    found = d3pm_kl(
        model.project, states, tokens, hidden, now.float(), then.float(), steps, MASK, subs_masking=subs_masking
    )
    assert found.tolist() == pytest.approx(summed(model, tokens, hidden, term), rel=2e-3, abs=1e-4)


def test_every_step_is_drawn_as_often() -> None:
    noise, t = LogLinear(), antithetic_times(4000, torch.Generator().manual_seed(0))
    now, then = D3PM(noise, 8).ends(t)
    assert torch.bincount(noise.time(-torch.log1p(-then)).mul(8).round().long()).tolist() == [500] * 8
    torch.testing.assert_close(noise.time(-torch.log1p(-now)) - noise.time(-torch.log1p(-then)), t.double() * 0 + 1 / 8)


def test_the_ends_of_time_lie_in_the_first_and_the_last_step() -> None:
    noise = LogLinear()
    now, then = D3PM(noise, 4).ends(torch.tensor([0.0, EPS, 1.0]))
    times = torch.tensor([[0.25, 0.25, 1.0], [0.0, 0.0, 0.75]], dtype=torch.float64)
    assert torch.equal(torch.stack([now, then]), masked(noise, times))


# -- expectations, by quadrature over the noise and enumeration of the masks

PAIR = torch.tensor([[3, 1]])


def unit(model: Toy, term: Term, fraction: float) -> float:
    """The expected sum of the term over the masked positions of PAIR, a token."""
    total = 0.0
    for pattern in product((False, True), repeat=2):
        hidden = torch.tensor([pattern])
        chance = np.prod([fraction if gone else 1 - fraction for gone in pattern])
        total += chance * summed(model, PAIR, hidden, lambda _, logits, token: term(logits, token))[0]
    return total


def nll(logits: Tensor, token: int) -> float:
    return -float(logits[:MASK].log_softmax(-1)[token])


def unnormalised(logits: Tensor, token: int) -> float:
    q = logits[:MASK].exp() / TOKENS
    return float(q.sum() - q[token].log() - 1)


def enumerated(term: Term, noise: Noise) -> float:
    """Of the continuous bound: the integral over t of -alpha' / (1 - alpha) times the term."""
    nodes, weights = np.polynomial.legendre.leggauss(120)
    total = 0.0
    for node, share in zip((nodes + 1) / 2, weights / 2, strict=True):
        t = torch.tensor(EPS + (1 - EPS) * node, dtype=torch.float64)
        a = float(alpha(noise, t))
        total += share * -float(slope(noise, t)) / (1 - a) * unit(Toy(), term, 1 - a)
    return total


def enumerated_steps(noise: Noise, steps: int) -> float:
    total = 0.0
    for i in range(steps):
        a_t, a_s = (float(alpha(noise, torch.tensor(j / steps, dtype=torch.float64))) for j in (i + 1, i))
        total += unit(Toy(), lambda logits, token, t=a_t, s=a_s: divergence(logits, token, t, s, False), 1 - a_t)
    return total


def drawn(objective: Any, count: int = 60_000) -> tuple[float, float]:
    """(mean, standard error) of the loss of PAIR as training draws it."""
    noise = torch.Generator().manual_seed(1)
    t = antithetic_times(count, noise)
    values = objective.loss(Placed(), PAIR.expand(count, -1), t, noise).double()
    assert values.shape == (count,)
    return float(values.mean()), float(values.std()) / count**0.5


@pytest.mark.parametrize("times", ["uniform", "importance", "change-of-variables"])
@pytest.mark.parametrize("name", NOISES)
def test_the_masked_bound_has_the_enumerated_expectation(name: str, times: Any) -> None:
    noise = NOISES[name]()
    mean, error = drawn(MDLM(noise, times=times))
    assert abs(mean - enumerated(nll, noise)) < 4 * error < 0.2 * mean


@pytest.mark.parametrize("name", NOISES)
def test_score_entropy_has_the_enumerated_expectation(name: str) -> None:
    noise = NOISES[name]()
    mean, error = drawn(SEDD(noise))
    assert abs(mean - enumerated(unnormalised, noise)) < 4 * error < 0.2 * mean


@pytest.mark.parametrize("name", NOISES)
def test_the_loss_in_steps_has_the_enumerated_expectation(name: str) -> None:
    noise = NOISES[name]()
    mean, error = drawn(D3PM(noise, 5))
    assert abs(mean - enumerated_steps(noise, 5)) < 4 * error < 0.2 * mean


def test_many_steps_are_the_continuous_bound() -> None:
    """With the mask left out: the network's share for it is what else sets them apart."""
    noise = LogLinear()
    continuous = enumerated(nll, noise)
    few, many = (
        sum(
            unit(Toy(), lambda logits, x, a=a_t, b=a_s: divergence(logits, x, a, b, True), 1 - a_t)
            for a_t, a_s in ((1 - (1 - 1e-3) * (i + 1) / steps, 1 - (1 - 1e-3) * i / steps) for i in range(steps))
        )
        for steps in (2, 200)
    )
    assert few != pytest.approx(continuous, rel=0.02)
    assert many == pytest.approx(continuous, rel=5e-3)


def test_drawing_times_by_their_weight_makes_the_loss_steadier_where_weights_differ_much() -> None:
    noise = NOISES["linear"]()
    assert drawn(MDLM(noise, times="importance"))[1] < drawn(MDLM(noise))[1] / 2


def test_the_cap_lowers_the_weight_in_training_and_not_in_validation() -> None:
    t, tokens = torch.full((4,), 0.01), PAIR.expand(4, -1).repeat(1, 50)
    for made in (MDLM, SEDD, D3PM):
        capped, free = made(max_weight=8.0), made()
        values = [
            measure(Placed(), tokens, t, torch.Generator().manual_seed(3))
            for measure in (capped.loss, free.loss, capped.bound)
        ]
        torch.testing.assert_close(values[0], values[1] * 0.08, rtol=0.06, atol=1e-6)
        assert torch.equal(values[1], values[2])


# -- gradients


class Table(nn.Module):
    """A denoiser of two tokens and a mask that is its parameters: logits by position and by what the other one is."""

    mask_id = 2
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(6)))

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        return self.logits[torch.arange(2), tokens.flip(1)] * (1 + t[:, None, None])

    def project(self, hidden: Tensor) -> Tensor:
        return hidden


@pytest.mark.parametrize(
    "made", [MDLM(), MDLM(times="importance"), SEDD(), D3PM(steps=4), D3PM(steps=4, subs_masking=True)]
)
def test_gradients_are_those_of_finite_differences(made: Any) -> None:
    model, step = Table(), 1e-2
    tokens, t = torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0]] * 4), torch.linspace(0.3, 0.9, 16)

    def value() -> Tensor:
        return made.loss(model, tokens, t, torch.Generator().manual_seed(9)).mean()

    torch.autograd.backward(value())
    assert model.logits.grad is not None
    found = model.logits.grad.flatten().tolist()
    flat = model.logits.data.view(-1)
    for i, gradient in enumerate(found):
        before, ends = float(flat[i]), []
        for sign in (1, -1):
            flat[i] = before + sign * step
            ends.append(value().item())
        flat[i] = before
        assert gradient == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3, abs=2e-4)
    assert max(map(abs, found)) > 0.02


def test_the_first_step_in_time_has_a_gradient() -> None:
    """Nothing is masked at its earlier end, where a ratio of the bound would divide by zero."""
    model = Table()
    made = D3PM(steps=4)
    t = torch.full((4,), 0.1)
    assert made.ends(t)[1].tolist() == [0.0] * 4
    value = made.loss(model, torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0]]), t, torch.zeros(4, 2)).mean()
    assert math.isfinite(value.item())
    torch.autograd.backward(value)
    assert model.logits.grad is not None
    assert bool(model.logits.grad.isfinite().all())
    assert float(model.logits.grad.abs().max()) > 0.02


def test_no_noise_leaves_nothing_to_pay() -> None:
    model, tokens, t, _ = some()
    nothing = torch.zeros_like(tokens, dtype=torch.bool)
    states = model.encode(tokens, t)
    for loss in (
        subs_nll(model.project, states, tokens, nothing, t, MASK),
        score_entropy(model.project, states, tokens, nothing, t, MASK),
        d3pm_kl(model.project, states, tokens, nothing, t, t / 2, 3, MASK),
    ):
        assert loss.tolist() == [0.0] * len(tokens)
    assert float(masked(LogLinear(), torch.zeros(1, dtype=torch.float64))) == 0
