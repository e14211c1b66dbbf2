"""The base of rules that reveal the masked positions of the highest score by a quota."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.strategies.base import Plan, Prediction, Strategy, View, knob, quota
from engine.strategies.ranking import dream_grid, dream_shares, gumbel, highest
from engine.strategies.schedules import uniform_grid

if TYPE_CHECKING:
    from torch import Tensor


SHARES: dict[str, Callable[[View], Tensor]] = {"llada": quota, "dream": dream_shares}


@dataclass(frozen=True)
class QuotaRule(Strategy):
    """Reveals the masked positions of highest score by a quota; never remasks."""

    preserves_marginal = False  # whole tokens run ahead of the clock or behind it
    remask_limit = 0
    measured_by: ClassVar[frozenset[str]] = frozenset({"masked"})
    """what the score is read from"""
    wording: ClassVar[str]
    """what the chosen ones are, after "one of the 3 ..." """

    shares: str = knob(
        "llada", "tokens a step: LLaDA's equal shares, or Dream's, rounded down to none", choices=tuple(SHARES)
    )
    eps: float = knob(0.001, "the time towards which Dream's steps run", 0, 0.9, needs=("shares", "dream"))
    k: int = knob(0, "tokens a step until none is masked; 0: as many as `shares` says", 0, 4096)
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
        chosen = highest(score, view.masked, self.k or SHARES[self.shares](view))
        return Plan(chosen.double(), view.alpha_t * 0)

    def grid(self, steps: int) -> NDArray[np.float64]:
        return dream_grid(steps, self.eps) if self.shares == "dream" else uniform_grid(steps)

    def keeps_quota(self) -> str:
        return "" if self.k else self.shares

    def reveal_rule(self, revealed: int, masked: int) -> str:
        if self.alg_temp:
            return f"one of the {revealed} drawn by confidence out of {masked} masked"
        return f"one of the {revealed} {self.wording}, out of {masked} masked"
