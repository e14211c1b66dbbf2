"""Informed correctors: after a step of revealing, redraw the tokens that the others make least probable.

A redraw is an edit towards a token drawn without sight of the committed one.  Within a round the clock runs on, so a
network conditioned on the noise level sees it change in the first step alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import Plan, Prediction, Strategy, View, knob
from engine.strategies.ranking import count_of_steps, gumbel, highest, logarithm

if TYPE_CHECKING:
    from torch import Tensor


def margin(seen: Prediction) -> Tensor:
    """Return log p of the committed token less that of the best other one, [B, L]; negative where another is better."""
    rival = seen.top_p.where(seen.current < seen.top_p, seen.top_p - seen.margin)
    return logarithm(seen.current) - logarithm(rival)


@dataclass(frozen=True)
class InformedCorrector(Strategy):
    name = "informed-corrector"
    summary = "Reveal as MDLM, then redraw in steps of their own the tokens that the rest makes least probable."
    source = "Zhao et al. 2024, arXiv 2407.21243, informed corrector with the margin as confidence, leave-one-out"
    preserves_marginal = False  # a round's reveals come in its first step
    remask_limit = 0
    reads = frozenset({"masked", "verified", "drawn", "noise"})
    edits = True

    corrections: int = knob(8, "correcting steps after each step that reveals; half the steps at most", 0, 64)
    k: int = knob(1, "tokens redrawn in a correcting step", 1, 4096)
    gamma: float = knob(1.0, "scale of the Gumbel noise on the ranking; 0 takes the least probable", 0, 100)
    verify: str = knob(
        "exact", "a call for each token, which no other then sees; shadow: one call, in which the others see it; auto: "
        "that where the model can", choices=("auto", "shadow", "exact"),
    )  # fmt: skip

    def verification(self) -> str:
        return self.verify

    def positions(self, view: View) -> Tensor:
        reveals = self._round(view)[0]
        return (view.masked & reveals) | (view.revealed & ~reveals)

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        assert view.noise is not None
        reveals, then = self._round(view)
        unmask = (1 - then / view.t) * reveals
        redrawn = highest(self.gamma * gumbel(view.noise) - margin(seen), view.revealed & ~reveals, self.k)
        return Plan(unmask, view.alpha_t * 0, redrawn.double())

    def _round(self, view: View) -> tuple[Tensor, Tensor]:
        """Return whether the step begins a round, which reveals, bool [B, 1], and the time at which the round ends."""
        step, steps = count_of_steps(view)
        size = ((steps - 1) // 2).clamp(0, self.corrections) + 1
        return step % size == 0, (view.t - size / steps).clamp(min=0)
