"""The dense update of the literature: every position's full distribution over the vocabulary, drawn by Gumbel-max.

It is slow and obvious, and it is what the fast path is tested against and benchmarked with.  Nothing is
computed twice: the network, the sort and the noise are each needed at every position, once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.protocol import Denoiser, never_drawn, quality_of
from engine.records import Settings
from engine.sampling import kernel
from engine.sampling.guidance import biased
from engine.sampling.memory import ShownState, StrategyMemory, begin
from engine.sampling.readout import DESCRIBES
from engine.strategies import Plan, Prediction, Strategy, View, asks_network, reads_of


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
    logits = biased(model, settings, model.project(hidden.flatten(0, 1)))
    p = kernel.probabilities(logits, model.mask_id, settings.temperature, dtype, never_drawn(model))
    return _nucleus(p, settings)


def _denoised_cut(model: Denoiser, tokens: Tensor, settings: Settings, alpha_t: Tensor, ends: Tensor | None) -> Tensor:
    """Return `denoised` of texts cut off at `ends`, long [B], one after the other; what is beyond is uniform."""
    if ends is None:
        return denoised(model, tokens, settings, alpha_t)
    count, length = tokens.shape
    p = torch.full((count, length, model.vocab_size), 1 / model.vocab_size, dtype=torch.float64)
    for end in sorted(set(ends.tolist())):
        rows = ends == end
        found = denoised(model, tokens[rows, :end], settings, alpha_t.expand(count, 1)[rows])
        p[rows, :end] = found.view(int(rows.sum()), end, -1)
    return p.flatten(0, 1)


def left_out(model: Denoiser, tokens: Tensor, settings: Settings, alpha_t: Tensor) -> Tensor:
    """Return `denoised` of every position as if it were masked, [B * L, V]: one network call for each."""
    columns = []
    for place in range(tokens.shape[1]):
        without = tokens.clone()
        without[:, place] = model.mask_id
        columns.append(denoised(model, without, settings, alpha_t).view(*tokens.shape, -1)[:, place])
    return torch.stack(columns, 1).flatten(0, 1)


def looked_ahead(model: Denoiser, strategy: Strategy, tokens: Tensor, view: View) -> Tensor:
    """Return `View.ahead` [B, L]: the whole network after each candidate."""
    assert view.prediction is not None
    where, columns = strategy.candidates(view), []
    for place in range(tokens.shape[1]):
        after = tokens.clone()
        after[:, place] = torch.where(where[:, place], view.prediction.ids[:, place], tokens[:, place])
        p = denoised(model, after, Settings(strategy.name, top_p=1.0), view.alpha_t).view(*tokens.shape, -1)
        entropy = -(p * p.clamp(min=1e-300).log()).sum(-1)
        left = after == model.mask_id
        columns.append((entropy * left).sum(-1) / left.sum(-1).clamp(min=1))
    return torch.stack(columns, 1).where(where, torch.nan)


def planned_by_draws(model: Denoiser, view: View) -> Prediction:
    """Return `View.planned`: the whole network with the draws in the place of all tokens."""
    assert view.prediction is not None
    ids, where = view.prediction.ids, view.revealed & (view.prediction.ids >= 0)
    seen = ids.where(ids >= 0, model.mask_id if view.tokens is None else view.tokens)
    noise = (seen == model.mask_id).double().mean(-1, keepdim=True)
    p = denoised(model, seen, Settings("planned", top_p=1.0), 1 - noise).view(*ids.shape, -1)
    best, order = p.sort(dim=-1, descending=True, stable=True)
    sure = p.gather(-1, ids.clamp(min=0)[:, :, None])[:, :, 0]
    entropy = -(p * p.clamp(min=1e-300).log()).sum(-1)
    columns = {"confidence": sure, "top_p": best[..., 0], "margin": best[..., 0] - best[..., 1], "entropy": entropy}
    numbers = {name: column.where(where, torch.nan) for name, column in columns.items()}
    return Prediction.blank(sure)._replace(ids=ids.where(where, -1), top=order[..., 0].where(where, -1), **numbers)


def _nucleus(p: Tensor, settings: Settings) -> Tensor:
    return p if settings.top_p >= 1 else kernel.nucleus_sorted(p, settings.top_p, settings.nucleus)


class DenseStep(NamedTuple):
    """What a dense step leads to: tokens and held [B, L], and what the strategy remembers."""

    tokens: Tensor
    held: Tensor
    memory: StrategyMemory | None = None


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
    memory: StrategyMemory | None = None,
) -> DenseStep:
    """Step from t to s, float64 [B, 1], without a prompt.

    dtype: that of the probabilities.  ReMDM's code has them in the network's own; the noise is float64.
    memory: what the strategy remembers of the last step; None before the first.
    """
    alpha_t, alpha_s = strategy.alpha(t), strategy.alpha(s)
    masked = tokens == model.mask_id
    view = View(t, s, alpha_t, alpha_s, masked, ~masked, held, vocab_size=model.vocab_size, tokens=tokens)
    if "noise" in reads_of(strategy):
        shape = tokens.shape if strategy.uniforms() == 1 else (*tokens.shape, strategy.uniforms())
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
        view = replace(view, noise=uniform.clamp(min=2.0**-54))
    if asks_network(strategy):
        return _predicted_step(model, strategy, settings, tokens, view, generator, memory or begin(strategy, held))
    p = denoised(model, tokens, settings, alpha_t, dtype).view(*tokens.shape, -1)
    new = gumbel_max(dense_posterior(p, tokens, strategy.plan(view), model.mask_id), generator)
    gained = p.gather(-1, new[:, :, None])[:, :, 0].double()
    still = (new == tokens) & ~masked
    return DenseStep(new, torch.where(still, held, gained.masked_fill(new == model.mask_id, torch.nan)))


def _predicted_step(
    model: Denoiser, strategy: Strategy, settings: Settings, tokens: Tensor, view: View,
    generator: torch.Generator, memory: StrategyMemory | None,
) -> DenseStep:  # fmt: skip
    """Step by a plan that reads the network's prediction: everything at every position, then what is read of it."""
    if memory is not None:
        view = replace(view, previous=memory.previous, memory=memory.own)
    ends = strategy.sees(view)
    bare = replace(settings, top_p=1.0)
    # the strategy ranks by the network's own probability, whatever the temperature that tokens are drawn at
    at_one = replace(bare, temperature=1.0)

    def whole(how: Settings) -> Tensor:
        if "verified" in reads_of(strategy):
            return left_out(model, tokens, how, view.alpha_t)
        return _denoised_cut(model, tokens, how, view.alpha_t, ends)

    full = whole(bare)
    plain = (full if bare == at_one else whole(at_one)).view(*tokens.shape, -1)
    if "tilted" in reads_of(strategy):
        full = _tilted(strategy, view, plain, settings.temperature).flatten(0, 1)
    p = _nucleus(full, settings).view_as(plain)
    standing = plain.gather(-1, tokens[:, :, None])[:, :, 0]
    if "tempered" in reads_of(strategy):
        plain = p if settings.temperature else _nucleus(plain.flatten(0, 1), settings).view_as(plain)
    race = gumbel_race(p, generator)
    drawn = race.argmax(-1)
    sure = race.amax(-1) / race.sum(-1) if settings.temperature and "noised" in reads_of(strategy) else None
    seen = dense_prediction(model, strategy, tokens, view, drawn, plain, memory, sure, standing)
    view = replace(view, prediction=seen)
    if "ahead" in reads_of(strategy):
        view = replace(view, ahead=looked_ahead(model, strategy, tokens, view))
    if "planned" in reads_of(strategy):
        view = replace(view, planned=planned_by_draws(model, view))
    plan = strategy.plan(view)
    shape = tokens.shape
    unmask, remask = (part.clamp(0, 1).expand(shape) for part in plan[:2])
    edit = torch.zeros_like(view.held) if plan.edit is None else plan.edit.clamp(0, 1).expand(shape)
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
    reveal, forget = view.masked & (u < unmask), view.revealed & (u < remask)
    edited = view.revealed & ~forget & (u < remask + edit) & (seen.ids != tokens)
    # the plan looked at these very tokens, so they are what is put
    new = torch.where(reveal | edited, seen.ids, tokens).masked_fill(forget, model.mask_id)
    by_draw = p.gather(-1, seen.ids.clamp(min=0)[:, :, None])[:, :, 0]
    gained = torch.where(view.masked | _draws_everywhere(strategy), by_draw, seen.top_p)
    held = torch.where(reveal | edited, gained, view.held).masked_fill(forget, torch.nan)
    if memory is None:
        return DenseStep(new, held)
    own = memory.own if plan.memory is None else plan.memory
    shown = ShownState(tokens, (1 - view.alpha_t).expand(len(tokens), 1)[:, 0])
    called = strategy.positions(view).any(-1)
    return DenseStep(new, held, replace(memory, own=own).after(called, seen, shown))


def _tilted(strategy: Strategy, view: View, plain: Tensor, temperature: float) -> Tensor:
    """Return probabilities [B, L, V] at masked positions after what the strategy adds to the logits of `plain`."""
    top_p, top = plain.max(-1)
    logits = kernel.tilted(plain.log(), *strategy.tilt(view.memory, top, top_p))
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), plain.shape[-1]).double()
    return torch.softmax(logits / temperature, -1)


def _draws_everywhere(strategy: Strategy) -> Tensor:
    return torch.tensor("drawn" in reads_of(strategy))


def dense_prediction(
    model: Denoiser, strategy: Strategy, tokens: Tensor, view: View, drawn: Tensor, plain: Tensor,
    memory: StrategyMemory | None, noised: Tensor | None = None, standing: Tensor | None = None,
) -> Prediction:  # fmt: skip
    """Return the columns that the strategy reads, from the whole distribution `plain` [B, L, V].

    noised: confidence [B, L] of the draws after their noise, if it is read.  standing: probability [B, L] of the tokens
    at temperature 1; None: that in `plain`.
    """
    reads, where = reads_of(strategy), strategy.positions(view)
    describes = bool(reads & DESCRIBES)
    best, order = plain.sort(dim=-1, descending=True, stable=True)
    top, top_p = order[..., 0], best[..., 0]
    ids = drawn if "drawn" in reads else torch.where(view.masked, drawn, top)
    entropy = -(plain * plain.clamp(min=1e-300).log()).sum(-1)
    current = plain.gather(-1, tokens[:, :, None])[:, :, 0] if standing is None else standing
    current = current.masked_fill(view.masked, torch.nan)
    nothing = torch.full_like(view.held, torch.nan)
    moved = nothing
    if memory is not None and memory.shown is not None:
        first = memory.shown.tokens < 0
        past = memory.shown.tokens.where(~first, model.mask_id)
        alpha = (1 - memory.shown.noise)[:, None]
        before = denoised(model, past, Settings(strategy.name, top_p=1.0), alpha).view_as(plain)
        ratio = plain.clamp(min=1e-300).log() - before.clamp(min=1e-300).log()
        moved = (plain * ratio).sum(-1).masked_fill(first, torch.inf)
    columns = (current, top_p, best[..., 0] - best[..., 1], entropy) if describes else (nothing,) * 4
    scored = plain
    if "tilted" in reads:
        scored = _tilted(strategy, view, plain, 1.0).where(view.masked[:, :, None], plain)
    confidence = scored.gather(-1, ids.clamp(min=0)[:, :, None])[:, :, 0]
    if noised is not None:
        confidence = torch.where(view.masked | _draws_everywhere(strategy), noised, confidence)
    logit, quality = _raw(model, strategy, tokens, view, ids)
    values = [column.where(where, torch.nan) for column in (confidence, *columns, moved, logit, quality)]
    tops = top if describes else ids
    return Prediction(ids.where(where, -1), values[0], values[1], tops.where(where, -1), *values[2:])


def _raw(model: Denoiser, strategy: Strategy, tokens: Tensor, view: View, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits [B, L] of `ids`, and the scores of the model's head; NaN where they are not read."""
    reads, nothing = reads_of(strategy), torch.full_like(view.held, torch.nan)
    score = quality_of(model) if "quality" in reads else None
    if score is None and "logit" not in reads:
        return nothing, nothing
    hidden = model.encode(tokens, (1 - view.alpha_t).expand(len(tokens), 1)[:, 0]).flatten(0, 1)
    of = ids.clamp(min=0).flatten()
    logit = model.project(hidden).gather(-1, of[:, None]).view_as(nothing).double() if "logit" in reads else nothing
    found = nothing if score is None else score(hidden).view_as(nothing).double()
    return logit, found


def gumbel_max(p: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one token for each row of p [..., V]."""
    return gumbel_race(p, generator).argmax(-1)


def gumbel_race(p: Tensor, generator: torch.Generator) -> Tensor:
    """Return p / E with float64 exponentials E, which is exp(log p + Gumbel): its argmax is Gumbel-max."""
    u = torch.rand(p.shape, generator=generator, dtype=torch.float64, device=generator.device)
    return p / u.log_().neg_()
