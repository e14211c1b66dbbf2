"""The predictors of MDLM's and SEDD's code by name, each at its authors' cost: for comparison and timing tables.

They are dense: every position's distribution over the vocabulary is computed and drawn from, [B, L, V], where the
engine draws the revealed positions alone.  Their tokens have the distributions that their authors define.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.models.protocol import Denoiser, never_drawn
from engine.sampling import kernel, rng
from engine.sampling.blocks import plan_blocks
from engine.sampling.readout import BadLogitsError
from engine.sampling.rng import Purpose
from engine.sampling.state import SamplerState
from engine.sampling.validation import check_canvas
from engine.text import infill

CELLS = 1 << 27
"""Probabilities held at once, sequences times positions times vocabulary: 1 GB in float64."""
NOISE_EPS = 1e-3
"""The loglinear schedule ends at alpha = NOISE_EPS, not at 0."""


@dataclass(frozen=True)
class PredictorSamples:
    """Samples and what they cost."""

    tokens: Tensor
    """long [count, L], no mask left, on the CPU"""
    network_calls: int
    """times that each sequence went through the network"""


def sample_by_predictor(
    model: Denoiser,
    name: str,
    *,
    steps: int,
    length: int,
    count: int,
    seed: int,
    top_p: float = 1.0,
    prompt: Sequence[int] = (),
    eps: float = 1e-5,
    first: int = 0,
    numbers: Sequence[int] = (),
    stride: int | None = None,
    strides: int = 0,
) -> PredictorSamples:
    """Return `count` samples as one batch by a predictor of PREDICTORS, over `steps` equal steps from t = 1 to `eps`.

    top_p: of `ddpm_cache` alone, exclusive as in ReMDM's code.  first: number of the first sample, or numbers: those of
    all `count`; sample n of a seed is the same whatever the batch.  stride, strides: how far and how often
    a window of `length` slides on, with all steps each time; what it shares with the one before is fixed (MDLM's code,
    sample_subs_guidance).  Raises ValueError for an unknown name or a setting out of range, BadLogitsError where the
    network gives no numbers.
    """
    if name not in PREDICTORS:
        raise ValueError(f"unknown predictor {name!r}: choose {', '.join(PREDICTORS)}")
    kind = PREDICTORS[name]
    check_canvas(model, steps, length, prompt)
    if getattr(model, "causal", False):
        raise ValueError("a model that predicts from the left alone has no such predictor: use left-to-right")
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    if not 0 < eps < 1:
        raise ValueError(f"eps must lie between 0 and 1, not {eps}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in 0 to 1, not {top_p}")
    if top_p < 1 and not kind.has_nucleus:
        raise ValueError(f"{name} has no nucleus: leave top_p at 1, or choose ddpm_cache")
    numbers = list(numbers or range(first, first + count))
    if len(numbers) != count:
        raise ValueError(f"numbers must be one for each of {count} samples, got {len(numbers)}")
    blocks = plan_blocks(steps, length, infill.fixed(prompt, model.mask_id), stride=stride, strides=strides)
    whole = SamplerState.blank(model, blocks.edges[-1], numbers, prompt).tokens
    network = _Network(model, top_p)
    times = torch.linspace(1, eps, steps + 1, dtype=torch.float64).tolist()
    for window, end in enumerate(blocks.edges[1:]):
        here, predictor, step = slice(end - length, end), kind(network), window * (steps + 1)
        tokens = whole[:, here]
        try:
            for i, t in enumerate(times[:-1]):
                tokens = predictor.step(tokens, t, times[i + 1], _TokenDraws(seed, numbers, step))
                step += 1
            tokens = predictor.finish(tokens, times[-1], _TokenDraws(seed, numbers, step))
        except kernel.NotFiniteError as error:
            places = [(numbers[row // length], step, here.start + row % length) for row in error.rows]
            raise BadLogitsError(places) from error
        whole[:, here] = tokens
    return PredictorSamples(whole.cpu(), network.calls)


@dataclass(frozen=True)
class _TokenDraws:
    """The randomness of one step of a batch."""

    seed: int
    numbers: list[int]
    step: int

    def draw(self, q: Tensor, rows: slice) -> Tensor:
        """Draw one token at every position, long [b, L], from weights q float64 [b, L, V] of some rows of the batch."""
        batch, length, _ = q.shape
        numbers = self.numbers[rows]
        keys = torch.from_numpy(rng.keys_of(self.seed, numbers, [self.step] * batch, Purpose.TOKEN)).to(q.device)
        positions = torch.arange(length, device=q.device).repeat(batch)
        address = kernel.Address(keys.repeat_interleave(length), positions)
        return kernel.inverse_cdf(q.flatten(0, 1), address).view(batch, length)


@dataclass
class _Network:
    """The network's output at every position, and the count of its calls."""

    model: Denoiser
    top_p: float
    calls: int = 0

    def rows(self, tokens: Tensor) -> Iterator[slice]:
        """Yield the batch in parts whose distributions fit in memory."""
        at_once = max(1, CELLS // (tokens.shape[1] * self.model.vocab_size))
        return (slice(i, i + at_once) for i in range(0, len(tokens), at_once))

    @torch.no_grad()
    def denoised(self, tokens: Tensor, t: float, top_p: float = 1.0) -> Tensor:
        """Return p(x0) after the nucleus, float64 [b, L, V]."""
        hidden = self.model.encode(tokens, self._times(tokens, t))
        logits = self.model.project(hidden.flatten(0, 1))
        p = kernel.probabilities(logits, self.model.mask_id, never=never_drawn(self.model))
        if top_p < 1:
            p = kernel.nucleus_sorted(p, top_p, "exclusive")
        return p.view(*tokens.shape, -1)

    @torch.no_grad()
    def scores(self, tokens: Tensor, t: float) -> Tensor:
        """Return p_t(y) / p_t(x), float64 [b, L, V]: the network's own, else at masked positions those that SUBS
        implies.

        With loglinear noise a masked position's score is p(x0 = y) alpha / (1 - alpha), and alpha / (1 - alpha) is
        1 / expm1(sigma); the score of the position's token is 1 (MDLM's code, for the analytic predictor).
        """
        sigma = loglinear(self._times(tokens, t, torch.float64))
        network = getattr(self.model, "network", self.model)
        if hasattr(network, "scores"):
            place = getattr(network, "device", tokens.device)
            given: Tensor = network.scores(tokens.to(place), sigma.float().to(place))
            if not torch.isfinite(given).all():
                raise kernel.NotFiniteError((~torch.isfinite(given)).any(-1).flatten().nonzero()[:, 0].tolist())
            given = given.to(tokens.device).double()
            never = list(never_drawn(self.model))
            if never:
                given[..., never] = 0
            return given
        p = self.denoised(tokens, t) / sigma.expm1()[:, None, None]
        return p.scatter_(-1, tokens[:, :, None], 1.0)

    @staticmethod
    def _times(tokens: Tensor, t: float, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.full((len(tokens),), t, dtype=dtype, device=tokens.device)


def loglinear(t: Tensor) -> Tensor:
    """Return sigma = -log alpha of the loglinear schedule, alpha = 1 - (1 - 1e-3) t."""
    return -torch.log1p(-(1 - NOISE_EPS) * t)


def ancestral(p: Tensor, mask_id: int, move_t: float, move_s: float) -> Tensor:
    """Return q(z_s | z_t = mask) but for its sum, in place: p(x0) [b, L, V] times what is revealed, the rest at the
    mask.

    move_t and move_s are 1 - alpha (D3PM, arXiv 2107.03006; MDLM, arXiv 2406.07524, eq. 6).
    """
    p *= move_t - move_s
    p[:, :, mask_id] = move_s
    return p


def tweedie(scores: Tensor, tokens: Tensor, mask_id: int, dsigma: float) -> Tensor:
    """Return SEDD's analytic update (arXiv 2310.16834, Theorem 4.2, absorbing graph) from scores float64 [b, L, V],
    in place.

    The staggered score exp(-dsigma Q) s times the transposed transition; negative weights, which a network's
    inconsistent scores can give the mask, become 0.
    """
    grow, keep = torch.tensor([dsigma, -dsigma], dtype=torch.float64).exp().tolist()
    total = scores.sum(-1)
    scores *= grow
    scores[:, :, mask_id] += (1 - grow) * total
    masked = tokens == mask_id
    # from a token y the chain stays with probability keep, else it goes to the mask
    reached = (1 - keep) * masked.double()[:, :, None].expand_as(scores)
    reached = reached.scatter_add(-1, tokens[:, :, None], torch.full_like(scores[:, :, :1], keep))
    return scores.mul_(reached).clamp_(min=0)


@dataclass
class Ddpm:
    """Ancestral sampling: the network at every step."""

    network: _Network
    has_nucleus = False

    def step(self, tokens: Tensor, t: float, s: float, draws: _TokenDraws) -> Tensor:
        mask_id, out = self.network.model.mask_id, tokens.clone()
        for rows in self.network.rows(tokens):
            p = self.network.denoised(tokens[rows], t)
            drawn = draws.draw(ancestral(p, mask_id, (1 - NOISE_EPS) * t, (1 - NOISE_EPS) * s), rows)
            out[rows] = torch.where(tokens[rows] == mask_id, drawn, tokens[rows])
        self.network.calls += 1
        return out

    def finish(self, tokens: Tensor, t: float, draws: _TokenDraws) -> Tensor:
        """Set every mask left to the argmax, by one more network call."""
        mask_id, out = self.network.model.mask_id, tokens.clone()
        for rows in self.network.rows(tokens):
            best = self.network.denoised(tokens[rows], t).argmax(-1)
            out[rows] = torch.where(tokens[rows] == mask_id, best, tokens[rows])
        self.network.calls += 1
        return out


@dataclass
class DdpmCache(Ddpm):
    """Ancestral sampling with alpha = 1 - t: the network again only after a token of the batch has changed.

    A network conditioned on the noise level is called at every step all the same.  What is kept is p(x0) after the
    nucleus, in float64, of the whole batch.
    """

    kept: list[Tensor] = field(default_factory=list)
    has_nucleus = True

    def step(self, tokens: Tensor, t: float, s: float, draws: _TokenDraws) -> Tensor:
        mask_id, out = self.network.model.mask_id, tokens.clone()
        parts = list(self.network.rows(tokens))
        if not self.kept:
            self.kept = [self.network.denoised(tokens[rows], t, self.network.top_p) for rows in parts]
            self.network.calls += 1
        for rows, p in zip(parts, self.kept, strict=True):
            drawn = draws.draw(ancestral(p.clone(), mask_id, t, s), rows)
            out[rows] = torch.where(tokens[rows] == mask_id, drawn, tokens[rows])
        if self.network.model.time_conditioned or not torch.equal(out, tokens):
            self.kept = []
        return out


@dataclass
class Analytic:
    """SEDD's update on scores, the network at every step, and at the end a draw in which no mask is left."""

    network: _Network
    has_nucleus = False

    def step(self, tokens: Tensor, t: float, s: float, draws: _TokenDraws) -> Tensor:
        sigma_t, sigma_s = loglinear(torch.tensor([t, s], dtype=torch.float64)).tolist()
        return self._update(tokens, t, sigma_t - sigma_s, draws, last=False)

    def finish(self, tokens: Tensor, t: float, draws: _TokenDraws) -> Tensor:
        return self._update(tokens, t, float(loglinear(torch.tensor(t, dtype=torch.float64))), draws, last=True)

    def _update(self, tokens: Tensor, t: float, dsigma: float, draws: _TokenDraws, last: bool) -> Tensor:
        mask_id, out = self.network.model.mask_id, tokens.clone()
        for rows in self.network.rows(tokens):
            q = tweedie(self.network.scores(tokens[rows], t), tokens[rows], mask_id, dsigma)
            if last:
                q[:, :, mask_id] = 0
            out[rows] = draws.draw(q, rows)
        self.network.calls += 1
        return out


PREDICTORS: dict[str, type[Ddpm] | type[Analytic]] = {"ddpm": Ddpm, "ddpm_cache": DdpmCache, "analytic": Analytic}
"""By the names that MDLM's configuration gives them."""
