"""Choices of a set of positions by rank, and how a count is shared out over steps.  Ties go to the left."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.strategies.base import Plan, Prediction, Strategy, View, knob, quota
from engine.strategies.schedules import uniform_grid

if TYPE_CHECKING:
    from torch import Tensor


def highest(scores: Tensor, where: Tensor, count: Tensor) -> Tensor:
    """Return bool [B, L]: the `count`, long [B, 1], highest of finite scores [B, L] among `where`; all if fewer."""
    order = scores.where(where, -math.inf).sort(dim=-1, descending=True, stable=True).indices
    return (order.argsort(-1) < count) & where


def below(scores: Tensor, where: Tensor, count: Tensor) -> Tensor:
    """Return bool [B, L]: the `count`, long [B, 1], lowest of scores [B, L] among `where`.

    All of equal scores are left out where not all belong to them, as P2 and RDM compare with the next score.
    """
    ordered = scores.where(where, math.inf).sort(dim=-1).values
    limit = ordered.gather(-1, count.clamp(max=ordered.shape[-1] - 1))
    return where & ((scores < limit) | (count >= where.sum(-1, keepdim=True)))


def logarithm(p: Tensor) -> Tensor:
    """Return log p, finite also at 0."""
    return p.clamp(min=1e-300).log()


def gumbel(noise: Tensor) -> Tensor:
    """Return Gumbel noise out of uniforms in (0, 1)."""
    return -(-noise.log()).log()


def kept_masked(view: View) -> Tensor:
    """Return how many positions are to be masked after the step: 1 - alpha_s of all, rounded down in float32 [B, 1]."""
    positions = (view.masked | view.revealed).sum(-1, keepdim=True)
    return (positions.float() * (1 - view.alpha_s).float()).long()


def dream_shares(view: View) -> Tensor:
    """Return Dream's share of the masks, rounded down in float32 [B, 1]: none at all while it is below 1."""
    masked = view.masked.sum(-1, keepdim=True)
    return (masked.float() * (1 - view.s.float() / view.t.float())).long()


def dream_grid(steps: int, eps: float) -> NDArray[np.float64]:
    """Return Dream's times, from 1 towards eps in equal steps; the last step takes all that is left."""
    times = np.linspace(1, eps, steps + 1)
    times[-1] = 0
    return times


SHARES: dict[str, Callable[[View], Tensor]] = {"llada": quota, "dream": dream_shares}


@dataclass(frozen=True)
class Ranked(Strategy):
    """Reveals the masked positions of highest score by a quota; never remasks."""

    preserves_marginal = False  # whole tokens run ahead of the clock or behind it
    measured_by: ClassVar[frozenset[str]] = frozenset({"masked"})
    """what the score is read from"""
    wording: ClassVar[str]
    """what the chosen ones are, after "one of the 3 ..." """

    shares: str = knob(
        "llada", "tokens a step: LLaDA's equal shares, or Dream's, rounded down to none", choices=tuple(SHARES)
    )
    eps: float = knob(0.001, "the time towards which Dream's steps run", 0, 0.9, needs=("shares", "dream"))
    confidence: str = knob(
        "plain", "measured at temperature 1, or after temperature and nucleus", choices=("plain", "tempered")
    )
    alg_temp: float = knob(0.0, "Dream's: draw positions by softmax(confidence / this); 0: the surest", 0, 10)

    def score(self, seen: Prediction) -> Tensor:
        """Return how sure the network is of each position, [B, L]."""
        raise TypeError(f"{type(self).__name__} has no score")

    def reading(self) -> frozenset[str]:
        tempered = {"tempered"} if self.confidence == "tempered" else set()
        return self.measured_by | tempered | ({"noise"} if self.alg_temp else set())

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        score = self.score(view.prediction)
        if self.alg_temp:
            assert view.noise is not None
            # Gumbel's largest are a draw without replacement, as torch.multinomial draws
            score = score / self.alg_temp + gumbel(view.noise)
        chosen = highest(score, view.masked, SHARES[self.shares](view))
        return Plan(chosen.double(), view.alpha_t * 0)

    def grid(self, steps: int) -> NDArray[np.float64]:
        return dream_grid(steps, self.eps) if self.shares == "dream" else uniform_grid(steps)

    def reveal_rule(self, revealed: int, masked: int) -> str:
        if self.alg_temp:
            return f"one of the {revealed} drawn by confidence out of {masked} masked"
        return f"one of the {revealed} {self.wording}, out of {masked} masked"
