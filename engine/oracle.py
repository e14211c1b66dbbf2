"""The dense update of the literature: every position's full law over the vocabulary, drawn by Gumbel-max.

It is slow and obvious, and it is what the fast path is tested against and benchmarked with.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine import kernel
from engine.models.protocol import Denoiser
from engine.records import Settings
from engine.strategies import Candidates, Plan, Strategy, View


def law(model: Denoiser, tokens: Tensor, plan: Plan, settings: Settings, alpha_t: Tensor) -> Tensor:
    """q(z_s | z_t) as probabilities over the vocabulary, float64 [B, L, V]."""
    batch, length = tokens.shape
    masked = tokens == model.mask_id
    p = denoised(model, tokens, settings, alpha_t).view(batch, length, -1)
    unmask = plan.unmask.clamp(0, 1).expand(batch, length)[:, :, None]
    remask = plan.remask.clamp(0, 1).expand(batch, length)[:, :, None]
    mask = torch.nn.functional.one_hot(torch.tensor(model.mask_id), p.shape[-1]).double()
    own = torch.nn.functional.one_hot(tokens, p.shape[-1]).double()
    return torch.where(masked[:, :, None], unmask * p + (1 - unmask) * mask, (1 - remask) * own + remask * mask)


def denoised(model: Denoiser, tokens: Tensor, settings: Settings, alpha_t: Tensor) -> Tensor:
    """p(x0) after the nucleus at every position, float64 [B * L, V]."""
    hidden = model.encode(tokens, (1 - alpha_t).flatten())
    p = kernel.probabilities(model.project(hidden.flatten(0, 1)), model.mask_id, settings.temperature)
    return p if settings.top_p >= 1 else kernel.nucleus_sorted(p, settings.top_p, settings.nucleus)


def step(
    model: Denoiser,
    strategy: Strategy,
    settings: Settings,
    tokens: Tensor,
    held: Tensor,
    t: Tensor,
    s: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """One step from t to s, float64 [B, 1]: (tokens [B, L], held [B, L]).  No prompt."""
    batch, length = tokens.shape
    alpha_t, alpha_s = strategy.alpha(t), strategy.alpha(s)
    masked = tokens == model.mask_id
    p = denoised(model, tokens, settings, alpha_t).view(batch, length, -1)
    view = View(t, s, alpha_t, alpha_s, masked, ~masked, held)
    if strategy.reads == "candidates":
        ids = gumbel_max(p, generator)
        full = denoised(
            model, tokens, Settings(settings.strategy, top_p=1.0, temperature=settings.temperature), alpha_t
        )
        confidence = full.view(batch, length, -1).gather(-1, ids[:, :, None])[:, :, 0] * masked
        plan = strategy.plan(View(t, s, alpha_t, alpha_s, masked, ~masked, held, Candidates(ids, confidence)))
        # the plan looked at these very candidates, so they are what is revealed
        new = torch.where(masked & (plan.unmask.expand_as(held) > 0.5), ids, tokens)
    else:
        new = gumbel_max(law(model, tokens, strategy.plan(view), settings, alpha_t), generator)
    gained = p.gather(-1, new[:, :, None])[:, :, 0]
    still = (new == tokens) & ~masked
    return new, torch.where(still, held, gained.masked_fill(new == model.mask_id, torch.nan))


def gumbel_max(p: Tensor, generator: torch.Generator) -> Tensor:
    """One draw for each row of p [..., V], by float64 Gumbel noise."""
    u = torch.rand(p.shape, generator=generator, dtype=torch.float64).clamp(min=2.0**-54)
    return (p.log() - (-u.log()).log()).argmax(-1)
