"""SSD-LM: a block is a point on the simplex of the vocabulary at every position, and all of it moves in every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.schedules import simplex

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SsdLm(Strategy):
    """What is shown at a position is the network's argmax; `engine.sampling.simplex` has the canvas behind it."""

    name = "ssd-lm"
    summary = "Denoise a block over the simplex of the vocabulary; what is shown is the network's argmax."
    source = "Han et al. 2022, SSD-LM, arXiv 2210.17432; xhan77/ssd-lm, ssd_model_decode_fileio.py, decode"
    reads = frozenset({"simplex"})
    preserves_marginal = False  # nothing is masked after a block's first step
    edits = True

    projection: str = knob(
        "even", "tokens at +K: all of the nucleus, or one drawn from it (sampling)", choices=("even", "sampling")
    )
    k: float = knob(5.0, "K: a token stands as +K at itself and -K elsewhere", 0.1, 10)

    def plan(self, view: View) -> Plan:
        none = view.masked.double() * 0
        return Plan(none + 1, none, view.revealed.double())

    def alpha(self, t: Tensor) -> Tensor:
        return simplex(t)
