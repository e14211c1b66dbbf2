"""The log-likelihood of a continuation given a context: exact where it can be, else a Monte Carlo bound.

The bound is that of LLaDA's evaluation (arXiv 2502.09992, appendix B.5): a number of the continuation's tokens, drawn
uniformly, is masked at random places while the context stays, and the cross-entropy of the masked ones is weighed by
the continuation's length over that number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.metrics.bounds import LOGITS, SUBS, NoisedBatch, noised_nats
from engine.metrics.likelihood import BATCH
from engine.metrics.rule_likelihood import DecodingRule, rule_scores
from engine.models.protocol import Denoiser, device_of, never_drawn
from engine.sampling.rng import Purpose, keys_of, uniforms

DRAWS = 128
"""Maskings of a continuation, as LLaDA's evaluation takes."""
TRIED = 4
"""Tokens of the text by which a strategy shows whether it is a rule: a single one is always revealed for certain."""


class LogLikelihood(NamedTuple):
    """The log-probability of a continuation, whether greedy decoding gives it, and the network calls it took."""

    value: float
    is_greedy: bool
    network_calls: int


def is_rule(model: Denoiser, rule: DecodingRule) -> bool:
    """Return whether texts have an exact likelihood under a rule."""
    if rule.strategy.remasks:
        return False
    never = {model.mask_id, *never_drawn(model)}
    token = next(token for token in range(model.vocab_size) if token not in never)
    try:
        rule_scores(model, rule, torch.full((1, TRIED), token))
    except ValueError:
        return False
    return True


@torch.inference_mode()
def monte_carlo(
    model: Denoiser,
    tokens: Sequence[int],
    given: int,
    number: int,
    *,
    seed: int,
    draws: int = DRAWS,
    batch: int = BATCH,
) -> float:
    """Return a lower bound of log p(continuation | context) by `draws` maskings, each a network call.

    tokens: context and continuation.  given: tokens of the context.  number: the address of the draws, which do not
    depend on the batch.  Raises FloatingPointError if the network returns NaN.
    """
    text, total = torch.tensor(tokens), 0.0
    for first in range(0, draws, batch):
        some = list(range(first, min(first + batch, draws)))
        noise = _masked_continuation(text, given, number, some, draws, seed, model.mask_id)
        # the bound's terms are a token of the row, the context's included
        nats = _checked(noised_nats(SUBS, model, text.expand(len(some), -1), noise), number) * len(tokens)
        total += float(nats.sum())
    return -total / draws


def _masked_continuation(
    text: Tensor, given: int, number: int, draws: Sequence[int], of: int, seed: int, mask_id: int
) -> NoisedBatch:
    """Return the text [L] masked once for each of the draws, one in each of `of` equal cells of noise levels."""
    at, noise = (
        torch.from_numpy(keys_of(seed, [number] * len(draws), draws, purpose))[:, None]
        for purpose in (Purpose.TIME, Purpose.NOISE)
    )
    length = len(text) - given
    level = (torch.tensor(draws)[:, None] + uniforms(at, torch.zeros(1).long())) / of
    count = (1 + (level * length).long()).clamp(max=length)
    u = uniforms(noise, torch.arange(length))
    threshold = u.sort(-1).values.gather(1, count - 1)
    masked = torch.zeros(len(draws), len(text), dtype=torch.bool)
    masked[:, given:] = u <= threshold
    return NoisedBatch(torch.where(masked, mask_id, text), masked, threshold[:, 0], (count / length)[:, 0].double())


def by_rule(
    model: Denoiser, rule: DecodingRule, rows: Sequence[Sequence[int]], given: int, *, batch: int = BATCH
) -> list[LogLikelihood]:
    """Return the exact likelihood of continuations under a rule, of rows that have one length and `given` in common."""
    found = rule_scores(model, rule, torch.tensor(rows), given=given, batch=batch)
    columns = zip(found.nats.tolist(), found.greedy.tolist(), found.calls.tolist(), strict=True)
    return [LogLikelihood(-nats, greedy, calls) for nats, greedy, calls in columns]


@torch.inference_mode()
def by_chain_rule(model: Denoiser, tokens: Sequence[int], given: int) -> LogLikelihood:
    """Return the exact likelihood of what follows `given` tokens, under a model that predicts from the left.

    A first token that nothing precedes does not count where the model has no distribution of it.
    """
    text = torch.tensor([tokens])
    place, t = device_of(model), torch.zeros(1)
    hidden = model.encode(text.to(place), t.to(place))[0]
    scored = max(given, int(torch.isnan(hidden[0]).any()))
    value, is_greedy, never = 0.0, True, [model.mask_id, *never_drawn(model)]
    for some in torch.split(torch.arange(scored, len(tokens)), max(1, LOGITS // model.vocab_size)):
        scores = model.project(hidden[some.to(place)]).double()
        scores[:, never] = -torch.inf
        targets = text[0, some].to(scores.device)
        value += float(_checked(torch.log_softmax(scores, -1).gather(-1, targets[:, None]).sum(), 0))
        is_greedy &= bool((scores.argmax(-1) == targets).all())
    return LogLikelihood(value, is_greedy, 1)


def _checked(nats: Tensor, number: int) -> Tensor:
    """Raise FloatingPointError if numbers of a sequence are NaN."""
    if bool(torch.isnan(nats).any()):
        raise FloatingPointError(f"the network gives NaN for sequence {number}")
    return nats
