"""Low-confidence remasking as LLaDA names it: each step reveals the candidates the network is surest of."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategies.base import Plan, Strategy, View, quota


@dataclass(frozen=True)
class LowConfidence(Strategy):
    name = "low-confidence"
    summary = "Reveal the masked positions the network is surest of, an equal share each step; never remask."
    source = "Chang et al. 2022, arXiv 2202.04200; LLaDA, arXiv 2502.09992, low-confidence remasking"
    preserves_marginal = False  # shares that are rounded up run ahead of the clock
    reads = frozenset({"masked"})

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        # rank of each position among the masked ones, surest first; ties go to the left
        surest = view.prediction.confidence.where(view.masked, -1.0)
        order = surest.sort(dim=-1, descending=True, stable=True).indices
        rank = order.argsort(-1)
        chosen = (rank < quota(view)) & view.masked
        return Plan(chosen.double(), view.alpha_t * 0)

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} that the network is surest of, out of {masked} masked"
