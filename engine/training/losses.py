"""Training objectives as pure functions of logits, targets and noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.training.token_losses import Project, RowLoss, cross_entropy, score_rows, token_and_mask

EPS = 1e-3
"""The smallest time trained on."""
Chance = torch.Generator | Tensor
"""The source of chance: a generator, or its draw for each token, uniform in 0 to 1, [B, L]."""


def antithetic_times(count: int, generator: torch.Generator, eps: float = EPS, largest: float = 1.0) -> Tensor:
    """Return count times in [eps, largest], one uniform in each of count equal cells (MDLM, arXiv 2406.07524)."""
    cells = torch.arange(count, dtype=torch.float32)
    uniform = torch.rand(count, generator=generator)
    return eps + (largest - eps) * ((cells + uniform) / count)


def mask_tokens(tokens: Tensor, t: Tensor, mask_id: int, chance: Chance) -> tuple[Tensor, Tensor]:
    """Mask each position with probability t [B] = 1 - alpha; return (noised tokens [B, L], masked bool [B, L]).

    tokens, t and chance lie on one device.
    """
    drawn = chance if isinstance(chance, Tensor) else torch.rand(tokens.shape, generator=chance)
    masked = drawn < t[:, None]
    return torch.where(masked, mask_id, tokens), masked


def subs_nll(
    project: Project,
    hidden: Tensor,
    tokens: Tensor,
    masked: Tensor,
    t: Tensor,
    mask_id: int,
    max_weight: float = math.inf,
    by_row: RowLoss = cross_entropy,
) -> Tensor:
    """Return the SUBS bound (MDLM, arXiv 2406.07524), nats per token, one value for each sequence [B].

    -E[alpha'_t / (1 - alpha_t) * sum of log p(x | z_t) over masked positions]; the weight is one over t [B], which
    for the loglinear schedule is the time.  Only masked positions are projected on the vocabulary: the others carry
    over and cost nothing.  by_row: computes `cross_entropy`.
    """
    places = Places(masked, hidden.device)
    losses = by_row(project, places.of(hidden), places.of(tokens), mask_id)
    return places.weighted(losses, (1 / t).clamp(max=max_weight))


def score_entropy(
    project: Project,
    hidden: Tensor,
    tokens: Tensor,
    masked: Tensor,
    t: Tensor,
    mask_id: int,
    max_weight: float = math.inf,
    by_row: RowLoss = score_rows,
) -> Tensor:
    """Return SEDD's denoising score entropy for absorbing noise (arXiv 2310.16834), nats per token [B].

    With the score s(y) = q(y) / expm1(sigma), q(y) = exp(logit y) / (V - 1) as `engine.models.time_conditioned`
    scales it, and r = 1 / expm1(sigma) the ratio of the true one, sigma' [sum of s - r log s(x) + r (log r - 1)] is the
    weight 1/t times sum of q - log q(x) - 1: cross-entropy, and a price for a q that is no distribution.
    by_row: computes `score_rows`.
    """
    places = Places(masked, hidden.device)
    losses = by_row(project, places.of(hidden), places.of(tokens), mask_id)
    return places.weighted(losses, (1 / t).clamp(max=max_weight))


def d3pm_kl(
    project: Project,
    hidden: Tensor,
    tokens: Tensor,
    masked: Tensor,
    now: Tensor,
    then: Tensor,
    steps: int,
    mask_id: int,
    subs_masking: bool = False,
    max_weight: float = math.inf,
    by_row: RowLoss = token_and_mask,
) -> Tensor:
    """Return D3PM's bound in T `steps` (arXiv 2107.03006; absorbing: arXiv 2406.07524), nats per token [B].

    now, then: 1 - alpha [B] at a step's t and s, a step drawn from all T.  At a masked position T times the KL
    divergence of q(z_s | z_t, x) from the same with the network's distribution for x, in which, unless subs_masking,
    the mask has its probability.  A visible token stays, at no cost.  by_row: computes `token_and_mask`.
    """
    places = Places(masked, hidden.device)
    chosen, mask = by_row(project, places.of(hidden), places.of(tokens), mask_id, subs_masking).unbind(-1)
    t, s = places.by_sequence(now), places.by_sequence(then)
    reveal = (t - s) / t
    before = torch.log1p((1 - t) / t * mask)
    after = torch.where(s > 0, torch.log1p((1 - s) / torch.where(s > 0, s, 1.0) * mask), 0.0)
    kl = reveal * (before - chosen) + (1 - reveal) * (before - after)
    share = (now - then) / now * steps
    return places.weighted(kl, steps * (max_weight / share).clamp(max=1.0))


class Places:
    """The N positions of [B, L] that are masked, row by row, on the network's device.

    They are counted on the mask's device, as counting on a GPU would wait for it.
    """

    def __init__(self, masked: Tensor, device: torch.device) -> None:
        """masked: bool [B, L].  device: the network's."""
        self._batch, self._length = masked.shape
        at = masked.flatten().nonzero()[:, 0]
        self._at, self._sequence = to_device(at, device), to_device(at // self._length, device)

    def of(self, values: Tensor) -> Tensor:
        """Return values [B, L, ...] there, [N, ...]; by index, as the gradient of a mask is slower on a GPU."""
        return to_device(values, self._at.device).flatten(0, 1).index_select(0, self._at)

    def by_sequence(self, values: Tensor) -> Tensor:
        """Return values [B] of the sequence that each position is in, [N]."""
        return to_device(values, self._at.device)[self._sequence]

    def weighted(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Return losses [N] times weights [B], summed over each sequence and divided by its length, [B]."""
        total = torch.zeros(self._batch, device=losses.device)
        return total.index_add(0, self._sequence, losses * self.by_sequence(weights)) / self._length


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return values on a device without waiting for it, as a GPU would finish its work to copy pageable memory."""
    waits = values.device.type == "cpu" and device.type == "cuda"
    return values.pin_memory().to(device, non_blocking=True) if waits else values.to(device)
