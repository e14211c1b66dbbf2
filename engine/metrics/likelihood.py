"""The likelihood of text under a model: an upper bound for a diffusion model, exact for a causal one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.metrics.bootstrap import Interval, interval
from engine.metrics.bounds import SMALLEST, SUBS, NoisedBatch, bound_of, noised_nats, reconstruction_nats
from engine.metrics.conventions import Conventions, conventions
from engine.metrics.judge import OnBatch
from engine.models.protocol import Denoiser, device_of
from engine.sampling.rng import Purpose, keys_of, uniforms
from engine.system.callbacks import ignore

BATCH = 8


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The negative log likelihood a token, in nats, bits and as perplexity."""

    kind: Literal["bound", "exact"]
    """an upper bound by diffusion, or what the chain rule gives"""
    bound: str | None
    """the bound's name in engine.metrics.bounds; None of an exact value"""
    conventions: Conventions
    nats: Interval
    sequences: int
    tokens: int
    """scored, each counted once"""
    network_calls: int
    by_sequence: NDArray[np.float64]
    """nats a token of each sequence, [N]"""

    @property
    def bits(self) -> Interval:
        """Return bits a token, called bits per dimension in the literature."""
        return self.nats.map(lambda x: x / math.log(2))

    @property
    def perplexity(self) -> Interval:
        return self.nats.map(lambda x: math.exp(x) if x < 700 else math.inf)


def likelihood(
    model: Denoiser,
    rows: Tensor | NDArray[np.integer],
    how: str = "standard",
    *,
    seed: int = 1,
    batch: int = BATCH,
    start: int | None = None,
    done: OnBatch = ignore,
) -> Likelihood:
    """Return the likelihood of N sequences of L tokens, [N, L].

    how: a name of CONVENTIONS.  start: the token that rows begin with by construction, which a causal model does not
    predict.  The figure depends on the seed, but neither on batch nor device.  Raises ValueError for rows that are
    not the model's, FloatingPointError if the network returns NaN.
    """
    numbers = range(len(rows))
    values, scored = sequence_nats(model, rows, numbers, how, seed=seed, batch=batch, start=start, done=done)
    return likelihood_summary(model, values, scored, how)


def likelihood_summary(model: Denoiser, values: NDArray[np.float64], scored: int, how: str) -> Likelihood:
    """Return the likelihood of N sequences from their nats a token, [N]; scored: tokens scored in each."""
    chosen, causal = conventions(how), is_causal(model)
    bound = None if causal else bound_of(model, chosen)
    calls = 1 if bound is None else chosen.times + bound.reconstructs
    return Likelihood(
        kind="exact" if causal else "bound",
        bound=None if bound is None else bound.name,
        conventions=chosen,
        nats=interval(values),
        sequences=len(values),
        tokens=len(values) * scored,
        network_calls=len(values) * calls,
        by_sequence=values,
    )


def sequence_nats(
    model: Denoiser,
    rows: Tensor | NDArray[np.integer],
    numbers: Sequence[int],
    how: str = "standard",
    *,
    seed: int = 1,
    batch: int = BATCH,
    start: int | None = None,
    done: OnBatch = ignore,
) -> tuple[NDArray[np.float64], int]:
    """Return (nats a token [n], tokens scored in each) of the rows of these numbers, out of all rows [N, L].

    A row's value does not depend on which other numbers are given.
    """
    chosen, tokens = conventions(how), torch.as_tensor(rows)
    check_rows(model, tokens, numbers)
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    causal = is_causal(model)
    levels = torch.zeros(0) if causal else noise_levels(numbers, len(tokens), chosen.times, seed)
    values, scored = np.zeros(len(numbers)), tokens.shape[1]
    for first in range(0, len(numbers), batch):
        some = list(numbers[first : first + batch])
        own = tokens[some].long()
        if causal:
            found, scored = _exact(model, own, start)
        else:
            found = _bound(model, own, some, levels[first : first + batch], chosen, seed)
        if torch.isnan(found).any():
            raise FloatingPointError(f"the network gives NaN for sequence {some[int(torch.isnan(found).nonzero()[0])]}")
        values[first : first + batch] = found.cpu().numpy()
        done(first + len(some), len(numbers))
    return values, scored


def is_causal(model: Denoiser) -> bool:
    """Return whether the model's likelihood is exact."""
    return bool(getattr(model, "causal", False))


def noise_levels(numbers: Sequence[int], total: int, times: int, seed: int) -> Tensor:
    """Return numbers in [0, 1), float64 [B, times]: one in each of total * times equal cells over all sequences."""
    cell = _cells(total, seed)[list(numbers)].double()
    drawn = []
    for time in range(times):
        key = torch.from_numpy(keys_of(seed, numbers, [time] * len(numbers), Purpose.TIME))
        drawn.append((time + (cell + uniforms(key, torch.zeros(1).long())) / total) / times)
    return torch.stack(drawn, -1)


@lru_cache(maxsize=2)
def _cells(total: int, seed: int) -> Tensor:
    """Return a permutation of the sequences, long [total]; cached, as levels are drawn for a few rows at a time."""
    order = uniforms(torch.from_numpy(keys_of(seed, range(total), [0] * total, Purpose.TIME)), torch.ones(1).long())
    return order.argsort(stable=True).argsort()


def add_noise(
    tokens: Tensor, level: Tensor, numbers: Sequence[int], time: int, masking: str, seed: int, mask_id: int
) -> NoisedBatch:
    """Return tokens, long [B, L], noised at levels, float64 [B] in [0, 1); masking: see `Conventions`."""
    length = tokens.shape[1]
    key = torch.from_numpy(keys_of(seed, numbers, [time] * len(numbers), Purpose.NOISE))
    u = uniforms(key[:, None], torch.arange(length))
    if masking == "independent":
        t = share = SMALLEST + (1 - SMALLEST) * level
        masked = u < (1 - SMALLEST) * t[:, None]
    else:
        count = (1 + (level * length).long()).clamp(max=length)
        # the noise level at which n tokens are masked is the n-th smallest of their u
        t = u.sort(-1).values.gather(1, count[:, None] - 1)[:, 0]
        masked, share = u <= t[:, None], count / length
    return NoisedBatch(torch.where(masked, mask_id, tokens), masked, t, share.double())


@torch.inference_mode()
def _bound(
    model: Denoiser, tokens: Tensor, numbers: Sequence[int], levels: Tensor, chosen: Conventions, seed: int
) -> Tensor:
    """Return nats a token, [B]: the mean over the noise levels [B, times]."""
    values, bound = torch.zeros(len(tokens), dtype=torch.float64), bound_of(model, chosen)
    for time, level in enumerate(levels.T):
        noise = add_noise(tokens, bound.level(level), numbers, time, chosen.masking, seed, model.mask_id)
        values += noised_nats(bound, model, tokens, noise)
    values /= chosen.times
    return values + reconstruction_nats(model, tokens, bound.subs_masking) if bound.reconstructs else values


@torch.inference_mode()
def _exact(model: Denoiser, tokens: Tensor, start: int | None) -> tuple[Tensor, int]:
    """Return nats a token, [B], and the number of tokens scored in each row."""
    place = device_of(model)
    tokens = tokens.to(place)
    t = torch.zeros(len(tokens), device=place)
    # a model without a start token has no distribution of the first token
    unstarted = bool(torch.isnan(model.encode(tokens[:1, :1], t[:1])).any())
    if not unstarted and start is not None and bool((tokens[:, 0] == start).all()):
        tokens = tokens[:, 1:]
    predicted = torch.ones_like(tokens, dtype=torch.bool)
    predicted[:, 0] = not unstarted
    scored = int(predicted[0].sum())
    if scored == 0:
        raise ValueError("a row of one token has nothing that a causal model could predict")
    noise = NoisedBatch(tokens, predicted, t, t.double() + 1)
    return noised_nats(SUBS, model, tokens, noise) * tokens.shape[1] / scored, scored


def check_rows(model: Denoiser, rows: Tensor, numbers: Sequence[int]) -> None:
    """Raise ValueError unless the rows' shape, and the tokens of the rows of these numbers, are the model's."""
    if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] == 0:
        raise ValueError(f"likelihood takes rows of tokens, [N, L], and got {list(rows.shape)}")
    if model.max_length is not None and rows.shape[1] > model.max_length:
        raise ValueError(f"rows have {rows.shape[1]} tokens, and the model takes {model.max_length} at most")
    if not len(numbers):
        return
    rows = rows[list(numbers)]
    low, high = int(rows.min()), int(rows.max())
    if low < 0 or high >= model.vocab_size:
        raise ValueError(f"rows hold token {low if low < 0 else high}, and the model has {model.vocab_size}")
    if bool((rows == model.mask_id).any()):
        raise ValueError(f"rows hold the mask, token {model.mask_id}, which is not text")
