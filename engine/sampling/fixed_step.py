"""A step in operations of fixed shapes that no value decides: a device runs it without being waited for.

Revealed positions are put into slots, as many for each sequence, so that a step can be recorded once for each number of
slots and replayed (`engine.sampling.graphs`).  Tokens are those of `engine.sampling.step`.  What would raise there is
a flag here, which the host reads with the step's results.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.chunking import portion
from engine.models.protocol import Denoiser, device_of, encode_at, never_drawn
from engine.records import Change, Settings
from engine.sampling import kernel, rng
from engine.sampling.fused_draw import draw_fused, draws_fused
from engine.sampling.readout import DRAW_CELLS
from engine.sampling.rng import Purpose
from engine.sampling.state import SamplerState, StepConfig
from engine.strategies import Strategy, View, asks_network, reads_of

BUCKETS = (0, 4, 16, 64, 256, 1024)
"""Numbers of slots that steps are recorded for, and above them the multiples of the last."""


def takes_fixed_shapes(config: StepConfig, state: SamplerState) -> bool:
    """Return whether these steps can be taken here: of plans that ask no network, on a canvas in one block."""
    strategy, settings = config.strategy, config.settings
    whole = state.active is None and state.seen is None and state.memory is None
    plain = not (settings.cfg or settings.eos_bias)
    return whole and plain and not asks_network(strategy) and reads_of(strategy) <= {"held"}


def draw_key(settings: Settings) -> tuple[object, ...]:
    """Return what a draw depends on, for the key of its graph."""
    return settings.top_p, settings.nucleus, settings.temperature, settings.draw


def bucket(count: int, length: int) -> int:
    """Return the number of slots for `count` revealed positions of a sequence: 0 for none, at most its length."""
    enough = next((size for size in BUCKETS if size >= count), -(-count // BUCKETS[-1]) * BUCKETS[-1])
    return min(enough, length)


class Board(NamedTuple):
    """B sequences before a step: all that a step depends on besides settings, as tensors."""

    tokens: Tensor
    """long [B, L]"""
    held: Tensor
    """float64 [B, L]"""
    locked: Tensor
    """bool [B, L]"""
    numbers: Tensor
    """long [B]: of the samples"""
    steps: Tensor
    """long [B]: of the randomness"""
    t: Tensor
    """float64 [B, 1]"""
    s: Tensor


class DecidedStep(NamedTuple):
    """What a step changes, decided before the network is asked."""

    reveal: Tensor
    """bool [B, L]"""
    forget: Tensor
    unmask: Tensor
    """float64, broadcastable to [B, L]"""
    remask: Tensor
    excess: Tensor
    """[B]: how far the plan left [0, 1] where it applied"""
    counts: Tensor
    """long [B]: revealed positions"""
    unplanned: Tensor
    """bool []: the plan holds a NaN"""


class CarriedOut(NamedTuple):
    """B sequences after a step."""

    tokens: Tensor
    held: Tensor
    change: Tensor
    """uint8 [B, L]: codes of `Change`"""
    failed: Tensor
    """bool [B, L]: revealed positions whose logits are not finite"""


def decide(strategy: Strategy, model: Denoiser, seed: int, slack: float, board: Board) -> DecidedStep:
    """Draw the flips of a step.  slack: an excess up to it is rounding."""
    masked = (board.tokens == model.mask_id) & ~board.locked
    revealed = ~masked & ~board.locked
    alphas = strategy.alpha(board.t), strategy.alpha(board.s)
    view = View(
        board.t, board.s, *alphas, masked, revealed, board.held, vocab_size=model.vocab_size, tokens=board.tokens
    )
    plan = strategy.plan(view)
    unmask, over = kernel.clamped(plan.unmask)
    remask, above = kernel.clamped(plan.remask)
    excess = torch.maximum((over * masked).amax(-1), (above * revealed).amax(-1))
    keys = rng.device_keys(seed, board.numbers, board.steps, Purpose.CHANGE)
    u = rng.uniforms(keys[:, None], torch.arange(board.tokens.shape[1], device=board.tokens.device))
    reveal, forget = masked & (u < unmask), revealed & (u < remask)
    unplanned = plan.unmask.isnan().any() | plan.remask.isnan().any()
    return DecidedStep(reveal, forget, unmask, remask, excess * (excess > slack), reveal.sum(-1), unplanned)


def slots_of(where: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the positions where bool [B, L] holds, in order, as slots long [B, count], and which slots are taken.

    A slot that is not taken has position 0; positions beyond `count` are left out.
    """
    rank = where.cumsum(-1) - 1
    slot = rank.masked_fill(~where | (rank >= count), count)
    position = torch.arange(where.shape[1], device=where.device).expand_as(slot)
    slots = torch.zeros((len(where), count + 1), dtype=torch.long, device=where.device).scatter(1, slot, position)
    taken = torch.arange(count, device=where.device) < where.sum(-1, keepdim=True)
    return slots[:, :count].masked_fill(~taken, 0), taken


def carry_out(
    model: Denoiser, settings: Settings, seed: int, banned: Tensor, slots: int, board: Board, alpha_t: Tensor,
    reveal: Tensor, forget: Tensor,
) -> CarriedOut:  # fmt: skip
    """Apply the flips of a step; at most `slots` of a sequence's positions are revealed, and none if that is 0.

    alpha_t: float64 [B, 1].  banned: bool [V], the tokens that are never drawn.
    """
    tokens, held = board.tokens, board.held
    failed = torch.zeros_like(reveal)
    if slots:
        places, taken = slots_of(reveal, slots)
        noise = (1 - alpha_t).expand(len(tokens), 1)[:, 0]
        hidden = encode_at(model, tokens, noise, places).flatten(0, 1)
        keys = rng.device_keys(seed, board.numbers, board.steps, Purpose.TOKEN)
        drawn = draw_from_hidden(
            model, settings, banned, hidden, kernel.Address(keys[:, None].expand_as(places).flatten(), places.flatten())
        )
        # what is drawn for a slot that is not taken goes to a column that is cut off
        into = places.masked_fill(~taken, tokens.shape[1])
        tokens, held, failed = (
            torch.cat((old, old[:, :1]), 1).scatter(1, into, new.view_as(into))[:, :-1]
            for old, new in zip((tokens, held, failed), drawn, strict=True)
        )
    tokens = tokens.masked_fill(forget, model.mask_id)
    held = held.masked_fill(forget, torch.nan)
    change = torch.full_like(tokens, Change.HELD, dtype=torch.uint8)
    change = change.masked_fill(board.tokens == model.mask_id, Change.MASKED)
    for where, code in ((reveal, Change.REVEALED), (forget, Change.REMASKED), (board.locked, Change.LOCKED)):
        change = change.masked_fill(where, code)
    return CarriedOut(tokens, held, change, failed & reveal)


def banned_tokens(model: Denoiser) -> Tensor:
    """Return bool [V]: the mask, and the ids that are no token."""
    banned = torch.zeros(model.vocab_size, dtype=torch.bool)
    banned[[model.mask_id, *never_drawn(model)]] = True
    return banned.to(device_of(model))


def draw_from_hidden(
    model: Denoiser, settings: Settings, banned: Tensor, hidden: Tensor, address: kernel.Address
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a token for each row of hidden [N, D]; return ids, the probability each had, and where logits are not
    finite, [N] each.
    """
    at_once = max(1, portion(DRAW_CELLS, hidden.device) // model.vocab_size)
    parts = []
    for i in range(0, len(hidden), at_once):
        here = slice(i, i + at_once)
        logits = model.project(hidden[here])
        parts.append(drawn_from(logits, kernel.Address(*(part[here] for part in address)), settings, banned))
    ids, held, failed = (torch.cat(columns) for columns in zip(*parts, strict=True))
    return ids, held, failed


def drawn_from(
    logits: Tensor, address: kernel.Address, settings: Settings, banned: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `kernel.draw` draws from logits [N, V]: ids, `held`, and where they are not finite, [N] each."""
    if draws_fused(logits, settings):
        return draw_fused(logits, kernel.uniforms_of(address), settings, banned)
    scores = logits.double().masked_fill(banned, -torch.inf)
    peak = scores.amax(-1, keepdim=True)
    failed = ~torch.isfinite(peak[:, 0])
    if settings.temperature == 0:
        p = torch.zeros_like(scores).scatter(-1, scores.argmax(-1, keepdim=True), 1.0)
    else:
        p = torch.softmax(scores if settings.temperature == 1 else (scores - peak) / settings.temperature, -1)
    if settings.top_p < 1:
        p = kernel.nucleus_unread(p, settings.top_p, settings.nucleus)
    ids = kernel.DRAWS[settings.draw](p, address)
    return ids, p.gather(-1, ids[:, None])[:, 0], failed
