"""Upper bounds of -log p under a diffusion model: that of its own training, or the same for all kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.metrics.conventions import Conventions
from engine.models.loading import Discrete
from engine.models.protocol import Denoiser, device_of
from engine.training.losses import d3pm_kl, score_entropy, subs_nll
from engine.training.noise import LogLinear, masked
from engine.training.token_losses import token_and_mask

LOGITS = 1 << 25
"""Logits held at a time, whatever the batch."""
SMALLEST = 1e-3
"""Noise level below which the reference does not go; also by how much its schedule falls short of masking all."""
USUAL_STEPS = 1000
"""T of the D3PM bound where the checkpoint does not say: the default of training."""


@dataclass(frozen=True)
class NoisedBatch:
    """One noised copy of each of B sequences."""

    tokens: Tensor
    """long [B, L]"""
    masked: Tensor
    """bool [B, L]"""
    t: Tensor
    """the noise level that the network takes, float64 [B]"""
    share: Tensor
    """the share of masked tokens, one over their weight in the bound, float64 [B]"""


Loss = Callable[[Denoiser, Tensor, Tensor, Tensor, NoisedBatch], Tensor]
"""(model, hidden [B, L, D], tokens [B, L], some masked positions [B, L], noise) -> nats a token from these, [B]."""


def _unchanged(level: Tensor) -> Tensor:
    return level


@dataclass(frozen=True)
class Bound:
    """An upper bound of -log p of given tokens, in nats a token."""

    name: str
    sentence: str
    loss: Loss
    level: Callable[[Tensor], Tensor] = _unchanged
    """numbers in [0, 1), float64 [B], to those at which the noise is drawn"""
    reconstructs: bool = False
    """whether -log p of the text under the network that sees all of it is added"""
    subs_masking: bool = False
    """whether the mask has probability 0 in the reconstruction"""


def bound_of(model: Denoiser, chosen: Conventions) -> Bound:
    """Return the bound that the conventions take for a model of this kind."""
    loaded = getattr(model, "loaded", None)
    own = OWN.get(getattr(loaded, "parameterization", "")) if chosen.own_bound else None
    return SUBS if own is None else own(getattr(loaded, "discrete", None))


def noised_nats(bound: Bound, model: Denoiser, tokens: Tensor, noise: NoisedBatch) -> Tensor:
    """Return the bound's term of one noise level, float64 [B], its logits computed a few rows at a time."""
    place = device_of(model)
    hidden = model.encode(noise.tokens.to(place), noise.t.float().to(place))
    total = torch.zeros(len(tokens), dtype=torch.float64)
    for some in torch.split(noise.masked.flatten().nonzero()[:, 0], max(1, LOGITS // model.vocab_size)):
        part = torch.zeros_like(noise.masked.flatten())
        part[some] = True
        where = part.view_as(noise.masked).to(place)
        total += bound.loss(model, hidden, tokens.to(place), where, noise).double().cpu()
    return total


def reconstruction_nats(model: Denoiser, tokens: Tensor, subs_masking: bool = False) -> Tensor:
    """Return -log p(x | x) a token, float64 [B], of a network at noise level 0.

    subs_masking: give the mask probability 0.
    """
    place = device_of(model)
    hidden = model.encode(tokens.to(place), torch.zeros(len(tokens), device=place)).flatten(0, 1)
    count = max(1, LOGITS // model.vocab_size)
    chosen = [
        token_and_mask(model.project, rows, targets, model.mask_id, subs_masking)[:, 0].double().cpu()
        for rows, targets in zip(*(torch.split(x, count) for x in (hidden, tokens.to(place).flatten())), strict=True)
    ]
    return -torch.cat(chosen).view(tokens.shape).mean(-1)


def _subs(model: Denoiser, hidden: Tensor, tokens: Tensor, where: Tensor, noise: NoisedBatch) -> Tensor:
    return subs_nll(model.project, hidden, tokens, where, noise.share.float().to(where.device), model.mask_id)


def _score_entropy(model: Denoiser, hidden: Tensor, tokens: Tensor, where: Tensor, noise: NoisedBatch) -> Tensor:
    return score_entropy(model.project, hidden, tokens, where, noise.share.float().to(where.device), model.mask_id)


def d3pm_bound(trained: Discrete | None) -> Bound:
    """Return D3PM's bound in the T steps of its training; None: T is unknown, and USUAL_STEPS are assumed."""
    steps, subs_masking = (USUAL_STEPS, False) if trained is None else (trained.steps, trained.subs_masking)

    def loss(model: Denoiser, hidden: Tensor, tokens: Tensor, where: Tensor, noise: NoisedBatch) -> Tensor:
        now, then = (masked(LogLinear(SMALLEST), t).float() for t in (noise.t, noise.t - 1 / steps))
        return d3pm_kl(
            model.project, hidden, tokens, where, now.to(where.device), then.clamp(min=0).to(where.device), steps,
            model.mask_id, subs_masking,
        )  # fmt: skip

    def level(drawn: Tensor) -> Tensor:
        """Return the later end of the step out of T that a number in [0, 1) falls into, as a level of LogLinear."""
        step = (drawn * steps).floor().clamp(max=steps - 1)
        return ((step + 1) / steps - SMALLEST) / (1 - SMALLEST)

    origin = "as many as it was trained with" if trained else "which is assumed: the checkpoint does not say its T"
    return Bound(
        f"D3PM in {steps:,} steps",
        f"The bound is D3PM's in {steps:,} steps, {origin} (arXiv 2107.03006): the KL divergence of a step drawn from "
        "them, and the reconstruction of the text by the network that sees all of it.",
        loss,
        level,
        reconstructs=True,
        subs_masking=subs_masking,
    )


SUBS = Bound(
    "SUBS",
    "The bound is that of SUBS (MDLM, arXiv 2406.07524): the cross-entropy of masked tokens, normalised over tokens.",
    _subs,
)
SCORE_ENTROPY = Bound(
    "score entropy",
    "The bound is SEDD's score entropy (arXiv 2310.16834), which also charges for scores that are no distribution.",
    _score_entropy,
)
OWN: dict[str, Callable[[Discrete | None], Bound]] = {"sedd": lambda _: SCORE_ENTROPY, "d3pm": d3pm_bound}
"""By parameterization, the bound of a model's own training where that is not SUBS, given its settings."""
