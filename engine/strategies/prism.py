"""PRISM: a trained head scores every token, and the worst are masked again as others are revealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.ranking import count_of_steps, fixed_quota, highest, lowest, middle_first

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Prism(Strategy):
    name = "prism"
    summary = "Reveal what the network is surest of, and mask again the tokens that a trained head scores lowest."
    source = "Kim et al. 2025, PRISM, arXiv 2510.01384; the authors' PRISM_llada/sampling.py, llada_inference"
    preserves_marginal = False  # shares that are rounded up run ahead of the clock
    remasks = True
    reads = frozenset({"masked", "committed", "quality"})

    num_remasking: int = knob(
        12, "tokens masked again in a block: an equal share a step, the remainder in the middle steps", 0, 4096
    )

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        # a block without masks has ended
        count = middle_first(*count_of_steps(view), self.num_remasking) * view.masked.any(-1, keepdim=True)
        forget = lowest(seen.quality, view.revealed, count)
        # as many more masks are revealed, even where fewer committed tokens were left to remask
        reveal = highest(seen.confidence, view.masked, fixed_quota(view) + count)
        return Plan(reveal.double(), forget.double())

    def positions(self, view: View) -> Tensor:
        return (view.masked | view.revealed) & view.masked.any(-1, keepdim=True)

    def most_remasks(self, t: float, s: float, revealed: int) -> int:
        return -(-self.num_remasking // round(1 / (t - s)))

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return "certain for the tokens that the head scores lowest"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} that the network is surest of, out of {masked} masked"
