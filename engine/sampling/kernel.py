"""The arithmetic of one step: nucleus, categorical draws and clamping, as pure functions on tensors.

From the log-softmax on everything is float64, on the few rows that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.sampling import rng

FIRST_TOP = 256
"""Most nuclei hold fewer tokens than this, so that many are looked at first."""


class NotFiniteError(FloatingPointError):
    """The network's logits for some rows are no numbers to draw from."""

    def __init__(self, rows: Sequence[int]) -> None:
        super().__init__("the network returned logits that are not finite")
        self.rows = tuple(rows)
        """which, in order"""


class PlanNotANumberError(FloatingPointError):
    """A strategy's plan holds a NaN."""

    def __init__(self) -> None:
        super().__init__("the strategy's plan holds a NaN")


def probabilities(
    logits: Tensor,
    mask_id: int,
    temperature: float = 1.0,
    dtype: torch.dtype = torch.float64,
    never: Sequence[int] = (),
) -> Tensor:
    """Map logits [N, V] to p(x0) [N, V], zero at the mask (SUBS); temperature 0 is one-hot at the argmax.

    never: ids that are no token, zero too.  Raises NotFiniteError when the network gave a NaN or +inf.
    """
    scores = logits.to(dtype, copy=True)  # a toy's logits may be its own table
    scores[:, mask_id] = -torch.inf
    if never:
        scores[:, list(never)] = -torch.inf
    peak = scores.amax(-1, keepdim=True)
    if not torch.isfinite(peak).all():
        raise NotFiniteError((~torch.isfinite(peak[:, 0])).nonzero()[:, 0].tolist())
    if temperature == 0:
        return torch.nn.functional.one_hot(scores.argmax(-1), scores.shape[-1]).to(dtype)
    return torch.softmax(scores if temperature == 1 else scores.sub_(peak).div_(temperature), -1)


def _keep_count(descending: Tensor, top_p: float, nucleus: str) -> Tensor:
    """Return how many of the descending probabilities [N, K] the nucleus holds, [N], at least 1."""
    cumulative = descending.cumsum(-1)
    kept = NUCLEI[nucleus](cumulative, descending, top_p)
    return kept.sum(-1).clamp(min=1)


NUCLEI: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "exclusive": lambda cumulative, p, top_p: cumulative <= top_p,
    "inclusive": lambda cumulative, p, top_p: cumulative - p < top_p,
}
"""Which of the descending probabilities stay: `exclusive` drops the token that crosses top_p (ReMDM's code),
`inclusive` keeps it (Hugging Face's convention)."""


def nucleus_sorted(p: Tensor, top_p: float, nucleus: str) -> Tensor:
    """Return the nucleus by a full stable sort, renormalised [N, V]: the slow, obvious one."""
    ordered, order = p.sort(dim=-1, descending=True, stable=True)
    count = _keep_count(ordered, top_p, nucleus)
    ranks = torch.arange(p.shape[-1], device=p.device)
    ordered *= ranks < count[:, None]
    ordered /= ordered.sum(-1, keepdim=True)
    return torch.zeros_like(p).scatter_(-1, order, ordered)


def nucleus_top(p: Tensor, top_p: float, nucleus: str) -> Tensor:
    """Return the same as `nucleus_sorted`, ties included, from the largest few probabilities where these suffice.

    The sorted values alone decide how many tokens stay; a tie at the last one goes to lower ids.
    """
    vocab = p.shape[-1]
    size = min(FIRST_TOP, vocab)
    while True:
        values = p.topk(size, dim=-1).values
        count = _keep_count(values, top_p, nucleus)
        if size == vocab or bool((count < size).all()):
            break
        size = min(size * 16, vocab)
    last = values.gather(-1, count[:, None] - 1)
    keep = p >= last
    if bool((keep.sum(-1) > count).any()):
        keep = _lowest_of_tied(p, last, count)
    kept = p * keep
    return kept.div_(kept.sum(-1, keepdim=True))


def nucleus_unread(p: Tensor, top_p: float, nucleus: str) -> Tensor:
    """Return the same as `nucleus_top` by operations that no value decides, so that a device need not be waited for."""
    values = p.sort(dim=-1, descending=True).values
    count = _keep_count(values, top_p, nucleus)
    kept = p * _lowest_of_tied(p, values.gather(-1, count[:, None] - 1), count)
    return kept.div_(kept.sum(-1, keepdim=True))


def _lowest_of_tied(p: Tensor, last: Tensor, count: Tensor) -> Tensor:
    """Return where the `count` [N] largest of p [N, V] are, the smallest of them `last` [N, 1]: of equal ones the
    lower ids.
    """
    above, tied = p > last, p == last
    room = count[:, None] - above.sum(-1, keepdim=True)
    return above | (tied & (tied.cumsum(-1) <= room))


class Address(NamedTuple):
    """Where each of N draws takes its randomness: int64 keys [N] and positions [N]."""

    keys: Tensor
    positions: Tensor


def uniforms_of(address: Address) -> Tensor:
    """Return the uniform that each draw by `inverse_cdf` takes, float64 [N]."""
    return rng.uniforms(address.keys, address.positions)


def inverse_cdf(p: Tensor, address: Address) -> Tensor:
    """Draw from each row the first token whose cumulative probability exceeds one uniform, [N]."""
    cumulative = p.cumsum(-1)
    u = uniforms_of(address)[:, None] * cumulative[:, -1:]
    picked = torch.searchsorted(cumulative, u, right=True)[:, 0]
    # u < 1 picks a token of positive probability; rounding in u * total may point one past the last of them
    top = p.shape[-1] - 1 - (p > 0).flip(-1).int().argmax(-1)
    return torch.minimum(picked, top)


def gumbel_float64(p: Tensor, address: Address) -> Tensor:
    """Draw by Gumbel-max with float64 noise over the whole vocabulary: ReMDM's corrected sampler."""
    u = rng.over_vocabulary(*address, p.shape[-1]).clamp(min=2.0**-54)
    return (p.log() - (-u.log()).log()).argmax(-1)


def gumbel_float32(p: Tensor, address: Address) -> Tensor:
    """Draw by Gumbel-max in float32 as MDLM and SEDD do: the noise is cut off, so rare tokens are never drawn.

    The fault is that of Zheng et al., arXiv 2409.02908: it lowers the effective temperature.
    """
    u = ((rng.over_vocabulary(*address, p.shape[-1]) * 2**24).floor() / 2**24).float()
    return (p.float() / (1e-10 - (u + 1e-10).log())).argmax(-1)


DRAWS: dict[str, Callable[[Tensor, Address], Tensor]] = {
    "inverse-cdf": inverse_cdf,
    "gumbel-float64": gumbel_float64,
    "gumbel-float32": gumbel_float32,
}
"""Ways to draw a token id [N] from p [N, V]."""


def noised(p: Tensor, ids: Tensor, address: Address) -> Tensor:
    """Return the probability of drawn tokens, ids [N], by softmax(log p + Gumbel) given that they are its argmax, [N].

    p: the distributions [N, V] that they were drawn from, in whatever way.  Gumbel-max is a race of exponentials at the
    rates p: the winner's time is Exp(1) whichever it is, and the others need an Exp(p) more.
    """
    rest = -rng.over_vocabulary(*address, p.shape[-1]).clamp(min=2.0**-54).log()
    at = ids[:, None]
    won = p * rest.gather(-1, at)
    return 1 / (1 + (won / (won + rest)).scatter(-1, at, 0.0).sum(-1))


class Drawn(NamedTuple):
    """N tokens drawn: ids [N], their probability `held` after the nucleus and `confidence`, float64 [N].

    `confidence` is before the nucleus and at temperature 1, whatever the temperature: what LLaDA's code ranks its
    candidates by, softmax(logits) at the token drawn.
    """

    ids: Tensor
    held: Tensor
    confidence: Tensor


def draw(
    logits: Tensor,
    address: Address,
    *,
    mask_id: int,
    top_p: float,
    nucleus: str,
    temperature: float,
    how: str,
    never: Sequence[int] = (),
    plain: Tensor | None = None,
    law: Tensor | None = None,
) -> Drawn:
    """Draw one token for each row of logits [N, V] from the nucleus of its distribution.

    plain, law: the probabilities [N, V] at temperature 1, and those that are drawn from, where they are known already.
    """
    if plain is None and (temperature == 1 or law is not None):
        plain = probabilities(logits, mask_id, never=never)
    if law is None:
        full = plain if temperature == 1 else probabilities(logits, mask_id, temperature, never=never)
        assert full is not None
        law = full if top_p >= 1 else nucleus_top(full, top_p, nucleus)
    ids = DRAWS[how](law, address)
    at = ids[:, None]
    sure = probabilities(logits, mask_id, never=never) if plain is None else plain
    return Drawn(ids, law.gather(-1, at)[:, 0], sure.gather(-1, at)[:, 0])


class RowSummary(NamedTuple):
    """What a strategy may read of N distributions, [N] each: see `engine.strategies.base.Prediction`."""

    current: Tensor
    top: Tensor
    top_p: Tensor
    margin: Tensor
    entropy: Tensor


def summarize_rows(p: Tensor, tokens: Tensor) -> RowSummary:
    """Summarize distributions p [N, V]; `current` is the probability of the present tokens [N].

    Of equally probable tokens the one with the lowest id is the top.
    """
    top_p, top = p.max(-1)
    second = p.scatter(-1, top[:, None], -1.0).amax(-1)
    return RowSummary(p.gather(-1, tokens[:, None])[:, 0], top, top_p, top_p - second, torch.special.entr(p).sum(-1))


def tilted(logits: Tensor, ids: Tensor, added: Tensor) -> Tensor:
    """Return logits [..., V] with numbers [..., K] added at ids [..., K], in float64; an id of -1 is none."""
    return logits.double().scatter_add(-1, ids.clamp(min=0), added.masked_fill(ids < 0, 0.0))


def divergence(p: Tensor, before: Tensor) -> Tensor:
    """Return KL(p || before) in nats of distributions [N, V] each, [N]; infinite where p has what `before` lacks."""
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, before)).sum(-1).clamp(min=0)


def clamp(probability: Tensor) -> tuple[Tensor, Tensor]:
    """Return (probability in [0, 1], how far the input left that range, per element); NaN raises FloatingPointError."""
    if torch.isnan(probability).any():
        raise PlanNotANumberError
    return clamped(probability)


def clamped(probability: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `clamp` does, with a NaN where there is one."""
    inside = probability.clamp(0, 1)
    return inside, (probability - inside).abs()
