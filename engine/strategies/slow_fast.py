"""SlowFast sampling: explore how far the network is sure, then fill that stretch; again from its end on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import Memory, Plan, Strategy, View, knob
from engine.strategies.ranking import highest
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor

NONE = -1.0
"""Stands for a length of which there is none yet."""


@dataclass(frozen=True)
class SlowFast(Strategy):
    """Cycles of a slow phase, which looks at all up to the block's end, and a fast one, which fills the cycle.

    Lengths count from the block's start.  A slow call takes the length up to the farthest position that is sure enough;
    once two in a row agree (standard deviation below `spread`) the last one is the cycle's end, else at the end of the
    phase their mean.  The published code gives the network the text up to the cycle's end alone from the second fast
    call on, as if nothing followed; here it always sees the whole text.
    """

    name = "slow-fast"
    summary = "Explore how far the network is sure, then fill up to there above a threshold; never remask."
    source = "SlowFast, arXiv 2506.10848, generate_slow_fast_sampling"
    preserves_marginal = False  # the network decides how many are revealed
    reads = frozenset({"masked"})

    threshold: float = knob(0.9, "reveal all from this probability on if there are two, else the surest", 0, 1)
    explore: int = knob(6, "calls of the slow phase", 1, 64)
    reach: float = knob(0.3, "the cycle reaches to the farthest position from this probability on", 0, 1)
    spread: float = knob(1.0, "standard deviation of two lengths below which they agree", 0, 1024)

    def initial_memory(self, like: Tensor) -> Memory:
        one = like[:, :1]
        return {"start": one, "end": one, "calls": one, "last": one + NONE, "agreed": one}

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        sure, new = view.prediction.confidence, view.t == 1
        start, end, calls, last, agreed = (
            view.memory[name].masked_fill(new, value)
            for name, value in (("start", 0.0), ("end", 0.0), ("calls", 0.0), ("last", NONE), ("agreed", 0.0))
        )
        is_open = (view.masked | view.revealed).long()
        place = is_open.clone().fill_(1).cumsum(-1) - 1 - is_open.argmax(-1, keepdim=True)
        length = (place * is_open).amax(-1, keepdim=True).double() + 1
        filled = ~(view.masked & (place >= start) & (place < end)).any(-1, keepdim=True)
        # a cycle that is full gives way to the next one, which begins at its end
        again = (calls >= self.explore) & filled
        start = end.where(again, start)
        calls, agreed, last = calls.masked_fill(again, 0), agreed.masked_fill(again, 0), last.masked_fill(again, NONE)
        slow = calls < self.explore
        ahead = view.masked & (place >= start)
        reached = (ahead & (sure >= self.reach)) * (place - start + 1)
        seen = (start + reached.amax(-1, keepdim=True).clamp(min=1)).minimum(length)
        # two lengths deviate from their mean by half their difference
        agrees = (last >= 0) & ((seen - last).abs() / 2 < self.spread)
        mean = seen.where(last < 0, ((seen + last) / 2).floor())
        open_still = slow & (agreed == 0)
        end = seen.where(agrees, mean).where(open_still, end)
        agreed = (agreed.bool() | open_still & agrees).double()
        scope = ahead & (slow | (place < end))
        high = scope & (sure >= self.threshold)
        chosen = high.where(high.sum(-1, keepdim=True) > 1, highest(sure, scope, 1))
        memory = {
            "start": start, "end": end, "calls": (calls + 1).clamp(max=self.explore),
            "last": seen.where(slow, last), "agreed": agreed,
        }  # fmt: skip
        called = view.masked.any(-1, keepdim=True)
        memory = {name: value.where(called, view.memory[name]) for name, value in memory.items()}
        return Plan(chosen.double(), view.alpha_t * 0, memory=memory)

    def reveal_rule(self, revealed: int, masked: int) -> str:
        rule = f"with p >= {short(self.threshold)}, or the surest, of its cycle"
        return f"one of the {revealed} {rule}, out of {masked} masked"
