"""What settings do to the network's logits: classifier-free guidance and a bias of end-of-text tokens.

LLaDA's, arXiv 2502.09992, `generate.py`; they act whatever the strategy.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.protocol import Denoiser, encode_rows, ends_of, never_drawn, turn_ends_of
from engine.records import Settings
from engine.sampling import kernel
from engine.sampling.memory import ShownState
from engine.sampling.state import SamplerState


def is_guided(settings: Settings, state: SamplerState) -> bool:
    """Return whether the network is called a second time, with the prompt masked: there is nothing to mask in none."""
    return settings.cfg > 0 and bool(state.locked.any())


def encode_free(model: Denoiser, state: SamplerState, where: Tensor, alpha_t: Tensor) -> Tensor:
    """Return what the network gives with the prompt masked at the positions where bool [B, L] holds, hidden [N, D]."""
    bare = without_prompt(model, state)
    return encode_rows(model, bare.shown(bare.tokens), bare.noise(alpha_t, model.mask_id), bare.shown(where))


class Hidden(NamedTuple):
    """What the network gives of N positions, [N, D]."""

    own: Tensor
    free: Tensor | None = None
    """with the prompt masked; None without guidance"""

    def rows(self, here: slice | Tensor) -> Hidden:
        return Hidden(self.own[here], None if self.free is None else self.free[here])


def without_prompt(model: Denoiser, state: SamplerState) -> SamplerState:
    """Return the state whose prompt is masked, and what the strategy remembers that the network was shown likewise."""
    memory = state.memory
    if memory is not None and memory.shown is not None:
        known = memory.shown.tokens >= 0
        tokens = memory.shown.tokens.masked_fill(state.locked & known, model.mask_id)
        noise = memory.shown.noise
        if state.active is not None:
            noise = (state.shown(tokens) == model.mask_id).double().mean(-1)
        memory = replace(memory, shown=ShownState(tokens, noise))
    return replace(state, tokens=state.tokens.masked_fill(state.locked, model.mask_id), memory=memory)


def logits_of(model: Denoiser, settings: Settings, hidden: Hidden) -> Tensor:
    """Return the logits [N, V] under the settings."""
    logits = model.project(hidden.own)
    if hidden.free is not None:
        free = model.project(hidden.free)
        # a logit that is -inf in both has no difference
        guided = free + (settings.cfg + 1) * (logits - free)
        logits = torch.where(logits.isneginf(), logits, guided)
    return biased(model, settings, logits)


def biased(model: Denoiser, settings: Settings, logits: Tensor) -> Tensor:
    """Return logits [N, V] with the bias of end-of-text tokens."""
    if not settings.eos_bias:
        return logits
    logits = logits.clone()
    logits[:, list(ends_of(model))] += settings.eos_bias
    return logits


class Certainty(NamedTuple):
    """How sure the network is of its tokens at N positions, by all that positions are chosen by, [N] each.

    NaN where a measure is not read.
    """

    confidence: Tensor
    margin: Tensor
    entropy: Tensor
    logit: Tensor
    quality: Tensor


def certainty(
    model: Denoiser, settings: Settings, logits: Tensor, ids: Tensor, seen: Certainty, masks: Tensor
) -> Certainty:
    """Return what counts as certainty at masked positions, masks bool [N], where tokens that end a text are drawn.

    logits [N, V], ids [N]: the tokens drawn.  Excluded ones come last by every measure.  LLaDA's code takes them out of
    the distribution, so others' certainty changes too; above temperature 0 it takes out those that end an answer alone.
    """
    if settings.eos_confidence == "kept":
        return seen
    ends = ends_of(model)
    if settings.eos_confidence == "as-published":
        ends = ends if settings.temperature == 0 else turn_ends_of(model)
        p = kernel.probabilities(logits, model.mask_id, never=(*never_drawn(model), *ends))
        rest = kernel.summarize_rows(p, ids)
        others = Certainty(rest.current, rest.margin, rest.entropy, seen.logit, seen.quality)
        seen = Certainty(*(new.where(masks & ~old.isnan(), old) for new, old in zip(others, seen, strict=True)))
    last = (0.0, 0.0, math.log(model.vocab_size), -math.inf, -math.inf)
    ended = masks & torch.isin(ids, torch.tensor(ends, dtype=torch.long, device=ids.device))
    return Certainty(*(old.masked_fill(ended & ~old.isnan(), end) for old, end in zip(seen, last, strict=True)))
