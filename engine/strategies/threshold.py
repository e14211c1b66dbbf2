"""Threshold decoding: each step reveals all candidates whose probability reaches a threshold."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.ranking import highest
from engine.text.numbers import short

NEARLY = 1e-5
"""dInfer reveals what is this close to the surest candidate, in float32."""


@dataclass(frozen=True)
class Threshold(Strategy):
    name = "threshold"
    summary = "Reveal all masked positions whose probability reaches a threshold, the surest at least; never remask."
    source = "Fast-dLLM, arXiv 2505.22618, get_transfer_index; dInfer, get_transfer_index_threshold"
    preserves_marginal = False  # the network decides how many are revealed
    remask_limit = 0
    reads = frozenset({"masked"})

    threshold: float = knob(0.9, "reveal from this probability on", 0, 1)
    rule: str = knob(
        "fast-dllm",
        "the surest besides (fast-dllm), or all within 1e-5 of it (dinfer)",
        choices=("fast-dllm", "dinfer"),
    )

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        sure = view.prediction.confidence.where(view.masked, -1.0)
        if self.rule == "dinfer":
            sure = sure.float()
            chosen = sure >= (sure.amax(-1, keepdim=True) - NEARLY).clamp(max=self.threshold)
        else:
            chosen = (sure >= self.threshold) | highest(sure, view.masked, 1)
        return Plan((chosen & view.masked).double(), view.alpha_t * 0)

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} with p >= {short(self.threshold)}, or the surest, out of {masked} masked"
