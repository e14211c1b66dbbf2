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

    With fewer masks left than n the published code goes on into revealed tokens or the next block; here a step reveals
    masks of its block alone.  As published, tokens of earlier blocks are taken back, too, and revealed again with the
    later ones; without that they are closed.
    """

    name = "saber"
    summary = "Reveal what is surer than the mean when revealed, n at least; remask what has gained least since."
    source = "Saber, arXiv 2510.18165, generate_with_saber"
    preserves_marginal = False  # the network decides how many are revealed
    remasks = True
    reads = frozenset({"masked", "committed", "previous"})

    n: int = knob(2, "the least number of positions to reveal; at least half as many are remasked", 1, 4096)
    one_in: int = knob(8, "remask one position for this many revealed ones", 1, 4096)

    as_published: str = knob(
        "no", "whether earlier blocks stay open, as in the published code; the blocks are the rule's own then",
        choices=("no", "yes"),
    )  # fmt: skip
    block: int = knob(32, "positions of a block of its own", 1, 4096, needs=("as_published", "yes"))

    def initial_memory(self, like: Tensor) -> OwnMemory:
        """Return the probability of every token when revealed, and at which position of the text its block ends."""
        memory = {"revealed_at": like + float("nan")}
        return memory if self.as_published == "no" else {**memory, "end": like[:, 0].long() + self.block}

    def positions(self, view: View) -> Tensor:
        # a block that is full is done
        return self._reached(view) & view.masked.any(-1, keepdim=True)

    def plan(self, view: View) -> Plan:
        seen, last, revealed_at = view.prediction, view.previous, view.memory["revealed_at"]
        assert seen is not None
        assert last is not None
        reached = self._reached(view)
        masked, sure = view.masked & reached, seen.confidence
        surer = masked & (sure > revealed_at.nanmean(-1, keepdim=True).nan_to_num(1.0))
        few = surer.sum(-1, keepdim=True) < self.n
        chosen = highest(sure, masked, self.n).where(few, surer)
        count = chosen.sum(-1, keepdim=True)
        forget = ((count + self.one_in - 1) // self.one_in).clamp(min=self.n // 2).minimum(count - 1)
        forget = forget * (masked & ~chosen).any(-1, keepdim=True)
        gained = sure - last.confidence.nan_to_num(0.0)
        falls = highest(-gained, view.revealed & reached | chosen, forget)
        remask = (view.revealed & falls).double()
        memory = {"revealed_at": sure.where(chosen, revealed_at)}
        if self.as_published == "yes":
            memory["end"] = self._end(view)[:, 0]
        return Plan((chosen & ~falls).double(), remask, memory=memory)

    def _reached(self, view: View) -> Tensor:
        """Return bool [B, L]: the positions that are open now, up to the end of the block."""
        is_open = view.masked | view.revealed
        return is_open if self.as_published == "no" else is_open & (_place(is_open) < self._end(view))

    def _end(self, view: View) -> Tensor:
        """Return where the block ends, long [B, 1], counted from the first open position; a full one gives way."""
        end, place = view.memory["end"][:, None], _place(view.masked | view.revealed)
        end = end.masked_fill(view.t == 1, self.block)
        full = ~(view.masked & (place < end)).any(-1, keepdim=True)
        return end + self.block * full

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return "saber: its prediction gained least since the last step"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return (
            f"one of the {revealed} surer than the mean when revealed, or the {self.n} surest, out of {masked} masked"
        )


def _place(is_open: Tensor) -> Tensor:
    """Return positions [B, L] counted from the first open one."""
    return is_open.long().fill_(1).cumsum(-1) - 1 - is_open.long().argmax(-1, keepdim=True)
