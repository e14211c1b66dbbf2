"""Training objectives as pure functions of logits, targets and noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-3
"""The smallest time trained on."""
Chance = torch.Generator | Tensor
"""Where chance comes from: a generator, or what it would draw for each token, uniform in 0 to 1, [B, L]."""
Project = Callable[[Tensor], Tensor]
"""Hidden [N, D] -> logits [N, V]."""


def antithetic_times(count: int, generator: torch.Generator, eps: float = EPS, largest: float = 1.0) -> Tensor:
    """count times in [eps, largest], one uniform in each of count equal cells (MDLM, arXiv 2406.07524)."""
    cells = torch.arange(count, dtype=torch.float32)
    uniform = torch.rand(count, generator=generator)
    return eps + (largest - eps) * ((cells + uniform) / count)


def mask_tokens(tokens: Tensor, t: Tensor, mask_id: int, chance: Chance) -> tuple[Tensor, Tensor]:
    """Mask each position with probability t [B] = 1 - alpha: (noised tokens [B, L], masked bool [B, L])."""
    drawn = chance if isinstance(chance, Tensor) else torch.rand(tokens.shape, generator=chance)
    masked = drawn.to(tokens.device) < t.to(tokens.device)[:, None]
    return torch.where(masked, mask_id, tokens), masked


def subs_nll(
    project: Project,
    hidden: Tensor,
    tokens: Tensor,
    masked: Tensor,
    t: Tensor,
    mask_id: int,
    max_weight: float = math.inf,
) -> Tensor:
    """The SUBS bound (MDLM, arXiv 2406.07524), nats per token, one value for each sequence [B].

    -E[alpha'_t / (1 - alpha_t) * sum of log p(x | z_t) over masked positions]; the weight is one over t [B], which
    for the loglinear schedule is the time.  Only masked positions are projected on the vocabulary: the others carry
    over and cost nothing.
    """
    logits = project(hidden[masked]).float()
    logits[:, mask_id] = -torch.inf
    losses = F.cross_entropy(logits, tokens[masked], reduction="none")
    return _weighted(losses, masked, (1 / t).clamp(max=max_weight))


def score_entropy(
    project: Project,
    hidden: Tensor,
    tokens: Tensor,
    masked: Tensor,
    t: Tensor,
    mask_id: int,
    max_weight: float = math.inf,
) -> Tensor:
    """SEDD's denoising score entropy for absorbing noise (arXiv 2310.16834), nats per token [B].

    With the score s(y) = q(y) / expm1(sigma), q(y) = exp(logit y) / (V - 1) as `engine.models.timed` scales it, and
    r = 1 / expm1(sigma) the ratio of the true one, sigma' [sum of s - r log s(x) + r (log r - 1)] is the weight 1/t
    times sum of q - log q(x) - 1: cross-entropy and, where q is no distribution, a price for that.
    """
    logits = project(hidden[masked]).float()
    log_q = logits - math.log(logits.shape[-1] - 1)
    log_q[:, mask_id] = -torch.inf
    chosen = log_q.gather(1, tokens[masked][:, None])[:, 0]
    return _weighted(log_q.exp().sum(-1) - chosen - 1, masked, (1 / t).clamp(max=max_weight))


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
) -> Tensor:
    """D3PM's bound in T `steps` (arXiv 2107.03006; absorbing: arXiv 2406.07524, appendix), nats per token [B].

    now, then: 1 - alpha [B] at a step's t and s, a step drawn from all T.  At a masked position T times the KL
    divergence of q(z_s | z_t, x) from the same with the network's distribution for x, in which, unless subs_masking,
    the mask has its share.  A token that is visible stays, and costs nothing.
    """
    logits = project(hidden[masked]).float()
    if subs_masking:
        logits[:, mask_id] = -torch.inf
    log_p = logits.log_softmax(-1)
    chosen, mask = log_p.gather(1, tokens[masked][:, None])[:, 0], log_p[:, mask_id].exp()
    t, s = _by_position(now, masked), _by_position(then, masked)
    reveal = (t - s) / t
    before = torch.log1p((1 - t) / t * mask)
    after = torch.where(s > 0, torch.log1p((1 - s) / torch.where(s > 0, s, 1.0) * mask), 0.0)
    kl = reveal * (before - chosen) + (1 - reveal) * (before - after)
    share = (now - then) / now * steps
    return _weighted(kl, masked, steps * (max_weight / share).clamp(max=1.0))


def _by_position(values: Tensor, masked: Tensor) -> Tensor:
    """values [B] at each masked position of [B, L]."""
    return values.to(masked.device)[:, None].expand(masked.shape)[masked]


def _weighted(losses: Tensor, masked: Tensor, weights: Tensor) -> Tensor:
    """losses of all masked positions of [B, L], in order, by weights [B]: each sequence's sum over its length, [B]."""
    rows = torch.arange(len(masked), device=masked.device)[:, None].expand(masked.shape)[masked]
    total = torch.zeros(len(masked), device=masked.device)
    return total.index_add(0, rows, losses * _by_position(weights, masked)) / masked.shape[1]
