"""Dream's original algorithm: MDLM on Dream's times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.ranking import dream_grid


@dataclass(frozen=True)
class DreamOrigin(Strategy):
    name = "dream-origin"
    summary = "Reveal each masked position with probability 1 - s/t, the rest at the last step; never remask."
    source = "Ye et al. 2025, arXiv 2508.15487; Dream, generation_utils.py, _sample with alg origin"
    remask_limit = 0

    eps: float = knob(0.001, "the time towards which the steps run before the last takes all", 0, 0.9)

    def plan(self, view: View) -> Plan:
        return Plan(1 - view.s / view.t, view.alpha_t * 0)

    def grid(self, steps: int) -> NDArray[np.float64]:
        return dream_grid(steps, self.eps)
