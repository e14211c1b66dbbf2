"""The dense update of the literature: every position's full distribution over the vocabulary, drawn by Gumbel-max.

It is slow and obvious, and it is what the fast path is tested against and benchmarked with.  Nothing is
computed twice: the network, the sort and the noise are each needed at every position, once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.models.protocol import Denoiser, never_drawn
from engine.records import Settings
from engine.sampling import kernel
from engine.strategies import Candidates, Plan, Strategy, View


def dense_probabilities(model: Denoiser, tokens: Tensor, plan: Plan, settings: Settings, alpha_t: Tensor) -> Tensor:
    """Return q(z_s | z_t) as probabilities over the vocabulary, float64 [B, L, V]."""
    p = denoised(model, tokens, settings, alpha_t)
    return dense_posterior(p.view(*tokens.shape, -1), tokens, plan, model.mask_id)


def dense_posterior(p: Tensor, tokens: Tensor, plan: Plan, mask_id: int) -> Tensor:
    """Return q(z_s | z_t) [B, L, V] from p(x0) [B, L, V] of tokens [B, L]: p unless masked, its token unless
    remasked.
    """
    masked = tokens == mask_id
    unmask = plan.unmask.clamp(0, 1).expand(tokens.shape).to(p.dtype)
    remask = plan.remask.clamp(0, 1).expand(tokens.shape).to(p.dtype)
    q = p * (unmask * masked)[:, :, None]
    own = torch.where(masked, 1 - unmask, 1 - remask)
    q.scatter_(-1, tokens[:, :, None], own[:, :, None])
    q[:, :, mask_id] = torch.where(masked, 1 - unmask, remask)
    return q


def denoised(
    model: Denoiser, tokens: Tensor, settings: Settings, alpha_t: Tensor, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Return p(x0) after the nucleus at every position, [B * L, V]."""
    hidden = model.encode(tokens, (1 - alpha_t).flatten())
    logits = model.project(hidden.flatten(0, 1))
    p = kernel.probabilities(logits, model.mask_id, settings.temperature, dtype, never_drawn(model))
    return _nucleus(p, settings)


def _nucleus(p: Tensor, settings: Settings) -> Tensor:
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
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """Step from t to s, float64 [B, 1], without a prompt; return (tokens [B, L], held [B, L]).

    dtype: that of the probabilities.  ReMDM's code has them in the network's own; the noise is float64.
    """
    alpha_t, alpha_s = strategy.alpha(t), strategy.alpha(s)
    masked = tokens == model.mask_id
    view = View(t, s, alpha_t, alpha_s, masked, ~masked, held)
    if strategy.reads == "candidates":
        full = denoised(
            model, tokens, Settings(settings.strategy, top_p=1.0, temperature=settings.temperature), alpha_t
        )
        p = _nucleus(full, settings).view(*tokens.shape, -1)
        ids = gumbel_max(p, generator)
        # candidates are ranked by the network's own probability, whatever the temperature that they are drawn at
        plain = settings.temperature == 1
        sure = full if plain else denoised(model, tokens, Settings(settings.strategy, top_p=1), alpha_t)
        confidence = sure.view_as(p).gather(-1, ids[:, :, None])[:, :, 0] * masked
        plan = strategy.plan(View(t, s, alpha_t, alpha_s, masked, ~masked, held, Candidates(ids, confidence)))
        # the plan looked at these very candidates, so they are what is revealed
        new = torch.where(masked & (plan.unmask.expand_as(held) > 0.5), ids, tokens)
    else:
        p = denoised(model, tokens, settings, alpha_t, dtype).view(*tokens.shape, -1)
        new = gumbel_max(dense_posterior(p, tokens, strategy.plan(view), model.mask_id), generator)
    gained = p.gather(-1, new[:, :, None])[:, :, 0].double()
    still = (new == tokens) & ~masked
    return new, torch.where(still, held, gained.masked_fill(new == model.mask_id, torch.nan))


def gumbel_max(p: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one token for each row of p [..., V]: argmax of p / E with float64 exponentials E, which is Gumbel-max."""
    u = torch.rand(p.shape, generator=generator, dtype=torch.float64)
    return (p / u.log_().neg_()).argmax(-1)
