"""WINO: reveal widely, and mask again what the network does not confirm without seeing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import OwnMemory, Plan, Strategy, View, knob
from engine.strategies.ranking import highest, lowest
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor

FEWEST, MOST, SHARE = 5, 20, 0.7
"""At most 20 are revealed in a step, and no more than this share of the masks unless that is below 5."""
AT_FIRST = 30
"""What counts as revealed by the step before a block's first."""


@dataclass(frozen=True)
class Wino(Strategy):
    name = "wino"
    summary = "Reveal all above a low threshold, and mask again what the network doubts when it does not see it."
    source = "Hong et al. 2025, arXiv 2507.18578; Feng-Hong/WINO-DLLM, decoding_wino"
    preserves_marginal = False
    remasks = True
    reads = frozenset({"masked", "verified"})

    threshold: float = knob(0.6, "reveal where the probability is above this, and the surest in any case", 0, 1)
    threshold_back: float = knob(0.9, "remask a token whose probability, with itself hidden, is below this", 0, 1)

    verify: str = knob(
        "auto", "by the authors' shadow block, in one call; exact, by a call for each token; auto: where the model can",
        choices=("auto", "shadow", "exact"),
    )  # fmt: skip

    def verification(self) -> str:
        return self.verify

    def initial_memory(self, like: Tensor) -> OwnMemory:
        """Return `last`, how many the step before revealed."""
        return {"last": like[:, 0].long() + AT_FIRST}

    def positions(self, view: View) -> Tensor:
        return (view.masked | view.revealed) & view.masked.any(-1, keepdim=True)

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        last = view.memory["last"][:, None].masked_fill(view.t == 1, AT_FIRST)
        most = (view.masked.sum(-1, keepdim=True).float() * SHARE).long().clamp(FEWEST, MOST)
        sure = view.masked & (seen.confidence > self.threshold)
        some = sure.any(-1, keepdim=True)
        reveal = highest(seen.confidence, sure.where(some, view.masked), most.where(some, 1))
        accepted = reveal.sum(-1, keepdim=True)
        doubted = view.revealed & (seen.current < self.threshold_back) & (accepted > 1)
        # never as many again as were revealed, so that the text grows
        many = doubted.sum(-1, keepdim=True) >= last
        remask = lowest(seen.current, doubted, (last - 1).where(many, doubted.sum(-1, keepdim=True)))
        memory = {"last": accepted.where(accepted > 0, last)[:, 0]}
        return Plan(reveal.double(), remask.double(), memory=memory)

    def most_remasks(self, t: float, s: float, revealed: int) -> int:
        # fewer than the step before revealed, or is taken to have revealed
        return max(AT_FIRST, MOST) - 1

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return f"probability without seeing it < {short(self.threshold_back)}"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} with p > {short(self.threshold)}, or the surest, out of {masked} masked"
