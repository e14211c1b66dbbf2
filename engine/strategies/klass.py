"""KLASS: reveal what the network is sure of and has stopped changing its mind about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import OwnMemory, Plan, Strategy, View, knob
from engine.strategies.ranking import fixed_quota, highest
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Klass(Strategy):
    """Without a position that is ready the surest of the step's quota are revealed.

    The published loop ends with masks where ready sets were smaller than quotas, and writes over revealed tokens where
    a quota is larger than the masks left.  Here the clean-up fills the former, and a quota stops at the masks.
    """

    name = "klass"
    summary = "Reveal the masked positions that are sure and stable over the last calls, else a quota; never remask."
    source = "KLASS, arXiv 2511.05664, stable_confident_decode and its variant for Dream"
    preserves_marginal = False  # the network decides how many are revealed
    remask_limit = 0
    reads = frozenset({"masked", "divergence"})

    confidence: float = knob(0.9, "sure: a probability above this", 0, 1)
    kl: float = knob(0.01, "stable: KL to the call before below this, in nats", 0, 10)
    history: int = knob(2, "number of calls, this one included, over which a position must be stable", 1, 64)
    unmask: str = knob("all", "which of the ready positions are revealed", choices=("all", "max-confidence", "min-kl"))
    rule: str = knob(
        "llada",
        "LLaDA's (p above, else the quota) or Dream's (p from there on, else the surest one)",
        choices=("llada", "dream"),
    )

    def initial_memory(self, like: Tensor) -> OwnMemory:
        return {"stable": like.long()}

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        stable = (view.memory["stable"] + 1).where(seen.divergence < self.kl, 0)
        dream = self.rule == "dream"
        sure = seen.confidence >= self.confidence if dream else seen.confidence > self.confidence
        # the first call of a block is compared with one that was not about it
        ready = view.masked & sure & (stable >= self.history) & (view.t < 1)
        if self.unmask != "all":
            score = seen.confidence if self.unmask == "max-confidence" else -seen.divergence
            ready = highest(score, ready, 1)
        surest = highest(seen.confidence, view.masked, 1 if dream else fixed_quota(view))
        chosen = ready.where(ready.any(-1, keepdim=True), surest)
        return Plan(chosen.double(), view.alpha_t * 0, memory={"stable": stable})

    def reveal_rule(self, revealed: int, masked: int) -> str:
        sure = f"p {'>=' if self.rule == 'dream' else '>'} {short(self.confidence)}"
        ready = f"{sure} and KL < {short(self.kl)} in {self.history} calls"
        return f"one of the {revealed} with {ready}, or the surest if none has, out of {masked} masked"
