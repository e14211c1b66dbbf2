"""Info-Gain: reveal one token a step, the one after which the network is surest of what is left.

A step costs a call for the state and one for each candidate.  Its code keeps the chosen row's logits for the next step,
and so makes one call fewer; a step here depends on the state alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.ranking import gumbel, highest
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class InfoGain(Strategy):
    name = "info-gain"
    summary = "Reveal one token a step, the candidate after which the network is surest of the masks left."
    source = (
        "Info-Gain Sampler, arXiv 2602.18176, samplers/info_gain.py; lookum: Look-ahead Unmasking, arXiv 2511.05563"
    )
    preserves_marginal = False
    remask_limit = 0
    reads = frozenset({"masked", "spread", "ahead", "noise"})

    tries: int = knob(
        8, "candidates in a step, a network call each: the surest position, the others drawn, doubles dropped", 1, 256
    )
    position_temperature: float = knob(0.2, "candidates are drawn by softmax(p / this); 0: the surest alone", 0, 10)
    threshold: float = knob(0.8, "reveal all masks once each has this probability", 0, 1)
    variant: str = knob(
        "info-gain", "least entropy of the candidate and of what is left after it, or of the latter alone (lookum)",
        choices=("info-gain", "lookum"),
    )  # fmt: skip

    def uniforms(self) -> int:
        """Return a number for each draw."""
        return max(self.tries - 1, 1)

    def candidates(self, view: View) -> Tensor:
        """Return the surest position and those drawn besides, with replacement; none where there is one alone."""
        seen = view.prediction
        assert seen is not None
        assert view.noise is not None
        chosen = highest(seen.confidence, view.masked, 1)
        if self.position_temperature and self.tries > 1:
            noise = view.noise if view.noise.dim() == 3 else view.noise[..., None]
            score = (seen.confidence / self.position_temperature)[..., None] + gumbel(noise)
            drawn = score.where(view.masked[..., None], -math.inf).argmax(1)
            chosen = chosen.scatter(1, drawn, True) & view.masked
        return chosen & ~self._all_sure(view) & (chosen.sum(-1, keepdim=True) > 1)

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        assert view.ahead is not None
        left = -view.ahead if self.variant == "lookum" else -view.ahead - seen.entropy
        compared = ~view.ahead.isnan()
        best = highest(left, compared, 1)
        alone = highest(seen.confidence, view.masked, 1)
        chosen = best.where(compared.any(-1, keepdim=True), alone)
        return Plan(view.masked.where(self._all_sure(view), chosen).double(), view.alpha_t * 0)

    def reveal_rule(self, revealed: int, masked: int) -> str:
        if revealed > 1:
            return f"all {masked} masked have p >= {short(self.threshold)}"
        return f"the one that leaves the network surest, out of {masked} masked"

    def _all_sure(self, view: View) -> Tensor:
        assert view.prediction is not None
        return ((view.prediction.confidence >= self.threshold) | ~view.masked).all(-1, keepdim=True)
