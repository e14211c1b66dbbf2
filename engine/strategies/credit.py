"""Credit decoding: a token that has been the most probable for a while counts as surer than it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import OwnMemory, Plan, Strategy, View, knob
from engine.strategies.threshold import NEARLY
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CreditThreshold(Strategy):
    """C[i, v] <- decay * C[i, v], then + p^power at the most probable token v of a masked position i.

    Tokens are drawn, and scored, from the logits + weight * log(1 + C).  Where the authors' code holds C for the whole
    vocabulary, here it is held for `tokens` tokens of a position: the same unless more have been its most probable one.
    """

    name = "credit"
    summary = "Reveal by a threshold, with credit for tokens that have been the most probable before; never remask."
    source = "dInfer, arXiv 2510.08666, CreditThresholdParallelDecoder"
    preserves_marginal = False  # the network decides how many are revealed
    remask_limit = 0
    reads = frozenset({"masked", "spread", "tilted"})

    threshold: float = knob(0.9, "reveal from this probability on, after credit", 0, 1)
    weight: float = knob(0.7, "factor of the credit in the logits (credit_alpha)", 0, 100)
    power: float = knob(0.2, "credit grows by p to this power (boost_gamma)", 0, 10)
    decay: float = knob(0.8, "factor of the credit from call to call (decay_beta)", 0, 1)
    tokens: int = knob(8, "tokens that have credit at a position; the least one gives way", 1, 256)

    def initial_memory(self, like: Tensor) -> OwnMemory:
        none = like.new_zeros((*like.shape, self.tokens))
        return {"ids": none.long() - 1, "credit": none}

    def tilt(self, memory: OwnMemory, top: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
        ids, credit = self._credited(memory, top, top_p)
        return ids, self.weight * credit.log1p()

    def _credited(self, memory: OwnMemory, top: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ids [..., K] and the credit [..., K] after a call, top and top_p [...]."""
        ids, credit = memory["ids"], memory["credit"] * self.decay
        same = ids == top[..., None]
        known = same.any(-1, keepdim=True)
        place = same.long().argmax(-1, keepdim=True).where(known, credit.argmin(-1, keepdim=True))
        grown = credit.gather(-1, place) * known + top_p[..., None] ** self.power
        return ids.scatter(-1, place, top[..., None]), credit.scatter(-1, place, grown)

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        ids, credit = self._credited(view.memory, seen.top, seen.top_p)
        # they were read at masked positions alone
        here = view.masked[..., None]
        memory = {"ids": ids.where(here, view.memory["ids"]), "credit": credit.where(here, view.memory["credit"])}
        sure = seen.confidence.where(view.masked, -1.0).float()
        chosen = sure >= (sure.amax(-1, keepdim=True) - NEARLY).clamp(max=self.threshold)
        return Plan((chosen & view.masked).double(), view.alpha_t * 0, memory=memory)

    def reveal_rule(self, revealed: int, masked: int) -> str:
        rule = f"with p >= {short(self.threshold)} after credit, or the surest"
        return f"one of the {revealed} {rule}, out of {masked} masked"
