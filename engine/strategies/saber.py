"""Saber: reveal more as the network grows surer, and take back what has gained least by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import OwnMemory, Plan, Strategy, View, knob
from engine.strategies.ranking import highest

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Saber(Strategy):
    """A position that would be revealed and masked again in the same step stays masked.

    With fewer masks left than n the published code goes on into revealed tokens or the next block, and takes back
    tokens of earlier blocks.  Here a step reveals masks of its block alone, and earlier blocks are closed.
    """

    name = "saber"
    summary = "Reveal what is surer than the mean when revealed, n at least; remask what has gained least since."
    source = "Saber, arXiv 2510.18165, generate_with_saber"
    preserves_marginal = False  # the network decides how many are revealed
    remasks = True
    reads = frozenset({"masked", "committed", "previous"})

    n: int = knob(2, "the least number of positions to reveal; at least half as many are remasked", 1, 4096)
    one_in: int = knob(8, "remask one position for this many revealed ones", 1, 4096)

    def initial_memory(self, like: Tensor) -> OwnMemory:
        return {"revealed_at": like + float("nan")}

    def positions(self, view: View) -> Tensor:
        # a block that is full is done
        return (view.masked | view.revealed) & view.masked.any(-1, keepdim=True)

    def plan(self, view: View) -> Plan:
        seen, last, revealed_at = view.prediction, view.previous, view.memory["revealed_at"]
        assert seen is not None
        assert last is not None
        sure = seen.confidence
        surer = view.masked & (sure > revealed_at.nanmean(-1, keepdim=True).nan_to_num(1.0))
        few = surer.sum(-1, keepdim=True) < self.n
        chosen = highest(sure, view.masked, self.n).where(few, surer)
        count = chosen.sum(-1, keepdim=True)
        forget = ((count + self.one_in - 1) // self.one_in).clamp(min=self.n // 2).minimum(count - 1)
        forget = forget * (view.masked & ~chosen).any(-1, keepdim=True)
        gained = sure - last.confidence.nan_to_num(0.0)
        falls = highest(-gained, view.revealed | chosen, forget)
        remask = (view.revealed & falls).double()
        return Plan((chosen & ~falls).double(), remask, memory={"revealed_at": sure.where(chosen, revealed_at)})

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return "saber: its prediction gained least since the last step"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return (
            f"one of the {revealed} surer than the mean when revealed, or the {self.n} surest, out of {masked} masked"
        )
