"""The forward-backward corrector: one step of noise, then denoise over it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategies.base import Plan, Strategy, View, posterior


@dataclass(frozen=True)
class ForwardBackward(Strategy):
    name = "forward-backward"
    summary = "Corrector that re-noises by as much as a step reveals: sigma = (alpha_s - alpha_t) / alpha_t."
    leaves_range = "sigma = (alpha_s - alpha_t) / alpha_t > sigma_max = 0 at the last step"
    source = "Campbell et al. 2022, arXiv 2205.14987; ReMDM, arXiv 2503.00307, its FB baseline"
    remasks = True

    def plan(self, view: View) -> Plan:
        ratio = (view.alpha_s - view.alpha_t) / view.alpha_t.clamp(min=1e-300)
        return posterior(view, ratio.where(view.alpha_t > 0, 1.0))

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return "(alpha_s - alpha_t) / alpha_t"
