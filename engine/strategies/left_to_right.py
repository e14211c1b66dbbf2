"""Left to right, as autoregressive models are sampled."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategies.base import Plan, Strategy, View, knob, quota


@dataclass(frozen=True)
class LeftToRight(Strategy):
    name = "left-to-right"
    summary = "Reveal the leftmost masked positions, an equal share each step; never remask."
    source = "autoregressive sampling; with a step for each position it is next-token generation"
    preserves_marginal = False  # shares that are rounded up run ahead of the clock
    remask_limit = 0
    from_the_left = True

    k: int = knob(0, "tokens a step until none is masked; 0: an equal share", 0, 4096)

    def plan(self, view: View) -> Plan:
        chosen = view.masked & (view.masked.cumsum(-1) <= (self.k or quota(view)))
        return Plan(chosen.double(), view.alpha_t * 0)

    def keeps_quota(self) -> str:
        return "" if self.k else "llada"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the leftmost {revealed} out of {masked} masked"
