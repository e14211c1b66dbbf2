"""SlowFast sampling: explore how far the network is sure, then fill that stretch; again from its end on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engine.strategies.base import OwnMemory, Plan, Strategy, View, knob
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
    phase their mean.  From the second fast call on the network is shown the text up to the cycle's end alone.
    """

    name = "slow-fast"
    summary = "Explore how far the network is sure, then fill up to there above a threshold; never remask."
    source = "SlowFast, arXiv 2506.10848, generate_slow_fast_sampling"
    preserves_marginal = False  # the network decides how many are revealed
    remask_limit = 0
    reads = frozenset({"masked"})

    threshold: float = knob(0.9, "reveal all from this probability on if there are two, else the surest", 0, 1)
    explore: int = knob(6, "calls of the slow phase", 1, 64)
    reach: float = knob(0.3, "the cycle reaches to the farthest position from this probability on", 0, 1)
    spread: float = knob(1.0, "standard deviation of two lengths below which they agree", 0, 1024)

    cut: str = knob(
        "yes", "whether fast calls after the first see the text up to the cycle's end alone", choices=("yes", "no")
    )

    def initial_memory(self, like: Tensor) -> OwnMemory:
        one = like[:, :1]
        return {"start": one, "end": one, "calls": one, "last": one + NONE, "agreed": one}

    def positions(self, view: View) -> Tensor:
        cycle = _Cycle.of(self, view)
        return cycle.ahead(view) & (cycle.slow | (cycle.place < cycle.end))

    def sees(self, view: View) -> Tensor | None:
        if self.cut == "no":
            return None
        cycle = _Cycle.of(self, view)
        end = (cycle.first + cycle.end).where(cycle.calls > self.explore, float(view.masked.shape[-1]))
        return end[:, 0].long()

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        sure, cycle = view.prediction.confidence, _Cycle.of(self, view)
        scope = self.positions(view)
        high = scope & (sure >= self.threshold)
        chosen = high.where(high.sum(-1, keepdim=True) > 1, highest(sure, scope, 1))
        reached = (cycle.ahead(view) & (sure >= self.reach)) * (cycle.place - cycle.start + 1)
        seen = (cycle.start + reached.amax(-1, keepdim=True).clamp(min=1)).minimum(cycle.length)
        # two lengths deviate from their mean by half their difference
        agrees = (cycle.last >= 0) & ((seen - cycle.last).abs() / 2 < self.spread)
        mean = seen.where(cycle.last < 0, ((seen + cycle.last) / 2).floor())
        measured = cycle.slow & (cycle.agreed == 0)
        after = {
            "start": cycle.start,
            "end": seen.where(agrees, mean).where(measured, cycle.end),
            "calls": (cycle.calls + 1).clamp(max=self.explore + 1),
            "last": seen.where(cycle.slow, cycle.last),
            "agreed": (cycle.agreed.bool() | measured & agrees).double(),
        }
        called = view.masked.any(-1, keepdim=True)
        memory = {name: value.where(called, view.memory[name]) for name, value in after.items()}
        return Plan(chosen.double(), view.alpha_t * 0, memory=memory)

    def reveal_rule(self, revealed: int, masked: int) -> str:
        rule = f"with p >= {short(self.threshold)}, or the surest, of its cycle"
        return f"one of the {revealed} {rule}, out of {masked} masked"


class _Cycle(NamedTuple):
    """The cycle that a step belongs to, [B, 1] each; lengths in positions of the block."""

    first: Tensor
    """position at which the block starts"""
    length: Tensor
    """of the block"""
    place: Tensor
    """[B, L]: positions, counted from the block's start"""
    start: Tensor
    """end of the cycle before"""
    end: Tensor
    calls: Tensor
    """of this cycle, before this one; no more are counted than one beyond the slow ones"""
    slow: Tensor
    last: Tensor
    """length that the last slow call saw"""
    agreed: Tensor
    """1 once two lengths have agreed"""

    @classmethod
    def of(cls, strategy: SlowFast, view: View) -> _Cycle:
        new, memory = view.t == 1, view.memory
        start, end, calls, agreed = (memory[name].masked_fill(new, 0.0) for name in ("start", "end", "calls", "agreed"))
        last = memory["last"].masked_fill(new, NONE)
        is_open = (view.masked | view.revealed).long()
        first = is_open.argmax(-1, keepdim=True)
        place = is_open.clone().fill_(1).cumsum(-1) - 1 - first
        length = (place * is_open).amax(-1, keepdim=True).double() + 1
        filled = ~(view.masked & (place >= start) & (place < end)).any(-1, keepdim=True)
        # a cycle that is full gives way to the next one, which begins at its end
        again = (calls >= strategy.explore) & filled
        start = end.where(again, start)
        calls, agreed, last = calls.masked_fill(again, 0), agreed.masked_fill(again, 0), last.masked_fill(again, NONE)
        return cls(first, length, place, start, end, calls, calls < strategy.explore, last, agreed)

    def ahead(self, view: View) -> Tensor:
        """Return bool [B, L]: the masks from the cycle's start on."""
        return view.masked & (self.place >= self.start)
