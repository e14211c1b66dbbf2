"""LLaDA2.1's joint decoding: reveal what is above a threshold, and edit tokens that the network would replace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import OwnMemory, Plan, Prediction, Strategy, View, knob
from engine.strategies.ranking import highest
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ThresholdBlocks(Strategy):
    """Reveals above a threshold, and goes on in a block without masks until a call of the network changes nothing."""

    preserves_marginal = False

    threshold: float = knob(0.95, "reveal every mask above this probability", 0, 1)
    num_to_transfer: int = knob(1, "the number of surest masks to reveal where fewer are above it", 1, 4096)
    max_post_steps: int = knob(16, "calls without masks in a block, at most", 0, 4096)

    def initial_memory(self, like: Tensor) -> OwnMemory:
        """Return `after`, the calls without masks in this block, and `over`, whether one of them changed nothing."""
        return {"after": like[:, 0].long(), "over": like[:, 0] > 0}

    def positions(self, view: View) -> Tensor:
        return (view.masked | view.revealed) & ~self.ended(view)

    def ended(self, view: View) -> Tensor:
        """Return bool [B, 1]: whether the block is over, so that the network is not called."""
        begins = view.t[:, 0] == 1
        over = (view.memory["over"] | (view.memory["after"] >= self.max_post_steps)) & ~begins
        return ((over | begins & (self.max_post_steps == 0)) & ~view.masked.any(-1))[:, None]

    def revealed_by(self, seen: Prediction, view: View) -> Tensor:
        """Return bool [B, L]: the masks above the threshold, or the surest few."""
        above = view.masked & (seen.confidence > self.threshold)
        few = above.sum(-1, keepdim=True) < self.num_to_transfer
        return highest(seen.confidence, view.masked, self.num_to_transfer).where(few, above)

    def after_step(self, view: View, changed: Tensor) -> OwnMemory:
        """Return what is remembered after a step that changed revealed tokens, bool [B, L]."""
        begins, free = view.t[:, 0] == 1, ~view.masked.any(-1)
        counted = view.memory["after"].masked_fill(begins, 0) + (free & ~self.ended(view)[:, 0])
        return {"after": counted, "over": free & ~changed.any(-1)}

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} with p > {short(self.threshold)}, or the surest, out of {masked} masked"


def differs(seen: Prediction, view: View) -> Tensor:
    """Return bool [B, L]: where the prediction is another token than the committed one."""
    assert view.tokens is not None
    return seen.ids != view.tokens


@dataclass(frozen=True)
class Llada21Edit(ThresholdBlocks):
    name = "llada21-edit"
    summary = "Reveal above a threshold, and replace revealed tokens where the network is surer of others."
    source = "LLaDA2.1, block decoding with token editing; ZHZisZZ/dllm, llada21/sampler.py, LLaDA21Sampler.sample"
    reads = frozenset({"masked", "committed", "drawn", "tempered"})
    edits = True
    remask_limit = 0

    editing_threshold: float = knob(0.9, "put another token where its probability is above this", 0, 1)

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        edit = view.revealed & differs(seen, view) & (seen.confidence > self.editing_threshold)
        reveal = self.revealed_by(seen, view)
        return Plan(reveal.double(), view.alpha_t * 0, edit.double(), self.after_step(view, edit))
