"""The entropy-bounded sampler: each step reveals as many positions as a budget of entropy allows."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.ranking import ordered, ranks
from engine.text.numbers import short


@dataclass(frozen=True)
class Eb(Strategy):
    name = "eb"
    summary = "Reveal the surest masked positions while their entropies but for the largest sum to gamma; never remask."
    source = "EB-Sampler, arXiv 2505.24857, algorithm 1; PC-Sampler, generate_with_eb_sampler"
    preserves_marginal = False  # the network decides how many are revealed
    remask_limit = 0
    reads = frozenset({"masked", "spread"})

    gamma: float = knob(0.1, "budget of entropy in nats, without the largest", 0, 100)
    order: str = knob(
        "entropy", "what says how sure the network is of a position", choices=("entropy", "confidence", "margin")
    )

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        sure = {"entropy": -seen.entropy, "confidence": seen.top_p, "margin": seen.margin}[self.order]
        entropy = ordered(seen.entropy, sure, view.masked)
        # grows with the prefix: at least one position is revealed, since the first leaves 0
        spent = entropy.cumsum(-1) - entropy.cummax(-1).values
        count = (spent <= self.gamma).sum(-1, keepdim=True).clamp(min=1)
        chosen = (ranks(sure, view.masked) < count) & view.masked
        return Plan(chosen.double(), view.alpha_t * 0)

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} surest, within entropy {short(self.gamma)}, out of {masked} masked"
