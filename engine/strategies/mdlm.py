"""MDLM: a token once revealed stays."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategies.base import Plan, Strategy, View, posterior


@dataclass(frozen=True)
class Mdlm(Strategy):
    name = "mdlm"
    summary = "Reveal only: a token once shown is never masked again."
    source = "Sahoo et al. 2024, arXiv 2406.07524, SUBS posterior"
    remask_limit = 0

    def plan(self, view: View) -> Plan:
        return posterior(view, view.alpha_t * 0)
