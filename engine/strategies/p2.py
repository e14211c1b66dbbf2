"""Path planning (P2): at each step the lowest scores are masked, whether they were masked before or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.ranking import below, kept_masked, logarithm
from engine.strategies.schedules import cosine, linear_alpha
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


def _log_confidence(view: View) -> Tensor:
    assert view.prediction is not None
    return logarithm(view.prediction.confidence)


def _log_margin(view: View) -> Tensor:
    assert view.prediction is not None
    top, margin = view.prediction.top_p, view.prediction.margin
    return logarithm(top) - logarithm(top - margin)


def _log_uniform(view: View) -> Tensor:
    assert view.noise is not None
    return view.noise.log()


SCORES: dict[str, Callable[[View], Tensor]] = {
    "confidence": _log_confidence,
    "margin": _log_margin,
    "random": _log_uniform,
}
READ_BY = {
    "confidence": frozenset({"committed", "drawn", "noised"}),
    "margin": frozenset({"committed"}),
    "random": frozenset({"noise"}),
}
KAPPA: dict[str, Callable[[Tensor], Tensor]] = {"linear": linear_alpha, "cosine": cosine}


@dataclass(frozen=True)
class P2(Strategy):
    """A revealed position is scored by the token that the network would put there now, not by the committed one.

    `random` is the authors' DFM sampling, with eta 0 their ancestral sampling.  `margin` leaves out the noise of the
    draw.  As planner, which scores revealed positions in a text of draws alone, there is the same network.
    """

    name = "p2"
    summary = "Mask what the network would now be least sure of, revealed tokens too; reveal the rest."
    source = "Peng et al. 2025, arXiv 2502.03540; path_planning, p2.py, p2_sampling"
    reads = READ_BY["confidence"]
    preserves_marginal = False  # what is masked is rounded down to whole tokens
    remasks = True

    eta: float = knob(
        1.0,
        "factor of revealed positions' scores: below 1 protects them and 0 never remasks, but for margin, which is no "
        "logarithm of a probability: above 1 protects them there",
        0,
        10,
    )
    score: str = knob(
        "confidence",
        "log probability of the drawn token, log ratio of the top two, or log uniform",
        choices=tuple(SCORES),
    )
    planner: str = knob(
        "none",
        "what scores revealed positions: the call that draws, or a second call of the network, which sees all draws",
        choices=("none", "self"),
        needs=("score", "confidence|margin"),
    )
    kappa: str = knob("linear", "how the revealed share grows: t, or 1 - cos(pi t / 2)", choices=tuple(KAPPA))

    def reading(self) -> frozenset[str]:
        planned = {"planned"} if self.planner == "self" and self.score != "random" else set()
        return READ_BY[self.score] | planned

    def positions(self, view: View) -> Tensor:
        # nothing is masked any more: revealed tokens stay whatever their score
        return view.masked | (view.revealed & (kept_masked(view) > 0))

    def plan(self, view: View) -> Plan:
        score = SCORES[self.score](view)
        if view.planned is not None:
            score = score.where(view.masked, SCORES[self.score](replace(view, prediction=view.planned)))
        lowest = below(score.where(view.masked, score * self.eta), view.masked | view.revealed, kept_masked(view))
        return Plan((~lowest).double(), lowest.double())

    def alpha(self, t: Tensor) -> Tensor:
        return KAPPA[self.kappa](t)

    def keeps_quota(self) -> str:
        return "clock"

    def most_remasks(self, t: float, s: float, revealed: int) -> int | None:
        # a log ratio is never below the 0 that revealed ones have then
        return None if self.eta or self.score == "margin" else 0

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return f"among the lowest scores, revealed ones times eta {short(self.eta)}"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} that did not score lowest, out of {masked} masked"
