"""The corrector of discrete flow matching, on its own adaptive time grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.strategies.base import Plan, Strategy, View
from engine.strategies.schedules import dfm_grid, dfm_rates
from engine.text.numbers import short


@dataclass(frozen=True)
class Dfm(Strategy):
    name = "dfm"
    summary = "Discrete-flow-matching corrector: reveal a times as fast, remask with b = a - 1 the excess."
    source = "Gat et al. 2024, arXiv 2407.15595, corrector sampling; as in ReMDM, arXiv 2503.00307"
    remasks = True

    def plan(self, view: View) -> Plan:
        a, b = dfm_rates(view.t)
        gained = view.alpha_s - view.alpha_t
        lost = (gained / view.alpha_t.clamp(min=1e-300)).where(view.alpha_t > 0, 0.0)
        return Plan(a * gained / (1 - view.alpha_t).clamp(min=1e-300), b * lost)

    def grid(self, steps: int) -> NDArray[np.float64]:
        return dfm_grid(steps)

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return f"b (alpha_s - alpha_t) / alpha_t, b {short(10 * (t * (1 - t)) ** 0.25)}"
