"""Hierarchical decoding: each step reveals the surest position of every run of masks, so that runs fall in two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.ranking import highest, ranks
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Hierarchy(Strategy):
    """With `remask` the unsure revealed positions are opened: they count as masks, and get the argmax or a mask."""

    name = "hierarchy"
    summary = "Reveal the surest of every run of masks if it is sure enough; optionally remask unsure tokens."
    source = "dInfer, arXiv 2510.08666, HierarchyDecoder and get_transfer_index_hierarchy_remask"
    preserves_marginal = False  # the network decides how many are revealed
    edits = True
    reads = frozenset({"masked", "committed"})

    low: float = knob(0.4, "reveal the surest of a run above this probability", 0, 1)
    threshold: float = knob(1.0, "reveal all above this probability besides; 1 is off", 0, 1)
    remask: float = knob(0.0, "remask positions below this probability; 0 is off, the authors' is .4", 0, 1)

    def positions(self, view: View) -> Tensor:
        if not self.remask:
            return view.masked
        return (view.masked | view.revealed) & view.masked.any(-1, keepdim=True)

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        sure = seen.confidence
        opened = view.revealed & (sure < self.remask)
        fillable = view.masked | opened
        chosen = surest_of_runs(sure, fillable) & (sure > self.low) | fillable & (sure > self.threshold)
        # more are revealed than opened, so that a step always gets on
        lacking = opened.sum(-1, keepdim=True) + 1 - chosen.sum(-1, keepdim=True)
        chosen = chosen | highest(sure, fillable & ~chosen, lacking)
        edit = (chosen & opened).double() if self.remask else None
        return Plan((chosen & view.masked).double(), (opened & ~chosen).double(), edit)

    def most_remasks(self, t: float, s: float, revealed: int) -> int | None:
        return None if self.remask else 0

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return f"hierarchy: p < {short(self.remask)}" if self.remask else ""

    def reveal_rule(self, revealed: int, masked: int) -> str:
        rule = f"surest of their runs with p > {short(self.low)}, or the surest"
        return f"one of the {revealed} {rule}, out of {masked} masked"


def surest_of_runs(sure: Tensor, where: Tensor) -> Tensor:
    """Return bool [B, L]: the surest position of every run of neighbours `where`, bool [B, L]."""
    left = where.roll(1, -1)
    left[:, 0] = False
    length = where.shape[-1]
    run = (where & ~left).cumsum(-1).where(where, 0)
    rank = ranks(sure, where)
    best = rank.new_full((len(rank), length + 1), length).scatter_reduce(-1, run, rank, "amin")
    return where & (rank == best.gather(-1, run))
