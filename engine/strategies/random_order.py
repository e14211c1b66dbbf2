"""LLaDA's random remasking: each step reveals positions by a random number."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategies.base import Plan, Strategy, View, quota
from engine.strategies.ranking import highest


@dataclass(frozen=True)
class RandomOrder(Strategy):
    name = "random"
    summary = "Reveal masked positions at random, an equal share each step; never remask."
    source = "LLaDA, arXiv 2502.09992, generate.py with remasking random"
    preserves_marginal = False  # shares that are rounded up run ahead of the clock
    remask_limit = 0
    reads = frozenset({"noise"})

    def plan(self, view: View) -> Plan:
        assert view.noise is not None
        return Plan(highest(view.noise, view.masked, quota(view)).double(), view.alpha_t * 0)

    def keeps_quota(self) -> str:
        return "llada"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of {revealed} chosen at random, out of {masked} masked"
