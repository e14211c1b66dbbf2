"""Factor decoding: the more candidates a step reveals, the surer each of them has to be."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.ranking import ordered, ranks
from engine.text.numbers import short


@dataclass(frozen=True)
class Factor(Strategy):
    name = "factor"
    summary = "Reveal the r surest masked positions while the r-th has p >= 1 - factor / (r + 1); never remask."
    source = "Fast-dLLM, arXiv 2505.22618, get_transfer_index_dynamic, as dInfer has it"
    preserves_marginal = False  # the network decides how many are revealed
    remask_limit = 0
    reads = frozenset({"masked"})

    factor: float = knob(1.0, "how unsure the r surest may be: 1 - p <= factor / (r + 1)", 0, 100)
    as_published: str = knob(
        "no", "whether the last rank is revealed too where it alone fails, as in dInfer's code", choices=("no", "yes")
    )

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        sure, masked = view.prediction.confidence, view.masked.sum(-1, keepdim=True)
        rank = view.held.new_ones(view.held.shape).cumsum(-1)
        passes = ordered(sure, sure, view.masked) >= 1 - self.factor / (rank + 1)
        passes = ((passes | (rank == 1)) & (rank <= masked)).long()
        count = passes.cumprod(-1).sum(-1, keepdim=True)
        if self.as_published == "yes":
            count = masked.where(count == masked - 1, count)
        chosen = (ranks(sure, view.masked) < count) & view.masked
        return Plan(chosen.double(), view.alpha_t * 0)

    def reveal_rule(self, revealed: int, masked: int) -> str:
        bound = f"1 - {short(self.factor)} / (rank + 1)"
        return f"one of the {revealed} surest, by p >= {bound}, out of {masked} masked"
