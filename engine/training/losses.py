"""Training objectives as pure functions of logits, targets and noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def antithetic_times(count: int, generator: torch.Generator, eps: float = 1e-3, largest: float = 1.0) -> Tensor:
    """count times in [eps, largest], one uniform in each of count equal cells (MDLM, arXiv 2406.07524)."""
    cells = torch.arange(count, dtype=torch.float32)
    uniform = torch.rand(count, generator=generator)
    return eps + (largest - eps) * ((cells + uniform) / count)


def mask_tokens(tokens: Tensor, t: Tensor, mask_id: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mask each position with probability 1 - alpha_t = t: (noised tokens [B, L], masked bool [B, L])."""
    masked = torch.rand(tokens.shape, generator=generator).to(tokens.device) < t[:, None]
    return torch.where(masked, mask_id, tokens), masked


def subs_nll(
    project: Callable[[Tensor], Tensor],
    hidden: Tensor,
    tokens: Tensor,
    masked: Tensor,
    t: Tensor,
    mask_id: int,
    max_weight: float = math.inf,
) -> Tensor:
    """The SUBS bound (MDLM, arXiv 2406.07524), nats per token, one value for each sequence [B].

    -E[alpha'_t / (1 - alpha_t) * sum of log p(x | z_t) over masked positions]; the loglinear weight is 1/t.
    Only masked positions are projected on the vocabulary: the others carry over and cost nothing.
    """
    logits = project(hidden[masked]).float()
    logits[:, mask_id] = -torch.inf
    losses = F.cross_entropy(logits, tokens[masked], reduction="none")
    weights = (1 / t).clamp(max=max_weight)[:, None].expand(masked.shape)[masked]
    rows = torch.arange(len(tokens), device=tokens.device)[:, None].expand(masked.shape)[masked]
    total = torch.zeros(len(tokens), device=tokens.device).index_add(0, rows, losses * weights)
    return total / tokens.shape[1]
