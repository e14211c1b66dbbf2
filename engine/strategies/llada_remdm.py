"""ReMDM as it was brought to LLaDA: the public versions, whose remasks go by the network's confidence or by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.strategies.base import Plan, Strategy, View, knob
from engine.strategies.ranking import count_of_steps, fixed_quota, highest, lowest, middle_first, share
from engine.strategies.schedules import linear_alpha, loop, uniform_grid

if TYPE_CHECKING:
    from torch import Tensor

T_ON, T_OFF, FILLED = 2 / 3, 1 / 3, 7 / 8
"""The loop of the `loop` version runs between these times, with this share of the text revealed."""
EDGE = 1e-9
"""Times this close are the same."""


def filled(positions: Tensor) -> Tensor:
    """Return how many of `positions` are revealed before the loop begins."""
    return (positions * FILLED).long()


@dataclass(frozen=True)
class LladaRemdm(Strategy):
    name = "llada-remdm"
    summary = "ReMDM on LLaDA: reveal what is surest, and mask again what the network or chance picks."
    source = (
        "Wang et al. 2025, arXiv 2503.00307, on LLaDA; loop: NEUIR/PC-Sampler, generate_with_remdm; "
        "random, held: PRISM, arXiv 2510.01384, sampling.py, remdm and remdm_conf"
    )
    preserves_marginal = False
    remasks = True
    reads = frozenset({"masked", "committed"})

    version: str = knob(
        "loop", "a loop at 7/8 by confidence, or remasks beside the reveals by chance or by the probability held",
        choices=("loop", "random", "held"),
    )  # fmt: skip
    loops: int = knob(32, "times that the loop remasks and reveals", 0, 1024, needs=("version", "loop"))
    k: int = knob(1, "tokens that the loop remasks at a time", 1, 1024, needs=("version", "loop"))
    num_remasking: int = knob(12, "remasks in a block", 0, 4096, needs=("version", "random|held"))

    def reading(self) -> frozenset[str]:
        return READS_OF[self.version]

    def positions(self, view: View) -> Tensor:
        if self.version != "loop":
            return super().positions(view)
        remasking = self._remasks_now(view)
        return (view.masked & ~remasking) | (view.revealed & remasking)

    def plan(self, view: View) -> Plan:
        return VERSIONS[self.version](self, view)

    def alpha(self, t: Tensor) -> Tensor:
        return loop(t, T_ON, T_OFF, FILLED) if self.version == "loop" else linear_alpha(t)

    def grid(self, steps: int) -> NDArray[np.float64]:
        """Return the times; a loop takes two steps, four fifths of all at most."""
        if self.version != "loop":
            return uniform_grid(steps)
        loops = max(0, min(self.loops, steps * 2 // 5, steps // 2 - 1))
        others = steps - 2 * loops
        after = max(1, round(others * (1 - FILLED)))
        before = others - after
        spans = [(1.0, T_ON, before), (T_ON, T_OFF, 2 * loops), (T_OFF if loops else T_ON, 0.0, after)]
        times = [np.linspace(first, end, count + 1)[1:] for first, end, count in spans if count]
        return np.concatenate(([1.0], *times))

    def looped(self, view: View) -> Plan:
        """Return the plan of the version that remasks the lowest probabilities and reveals the highest in turn."""
        assert view.prediction is not None
        count = (view.masked | view.revealed).sum(-1, keepdim=True)
        masks = view.masked.sum(-1, keepdim=True)
        early = view.s > T_ON - EDGE
        before = share((masks - (count - filled(count))).clamp(min=0), view, T_ON)
        due = before.where(early, share(masks, view, 0.0)).where(~self._in_loop(view), self.k)
        remasking = self._remasks_now(view)
        reveal = highest(view.prediction.confidence, view.masked, due) & ~remasking
        forget = lowest(view.prediction.current, view.revealed, self.k) & remasking
        return Plan(reveal.double(), forget.double())

    def in_one_step(self, view: View) -> Plan:
        """Return the plan of the versions that remask some and reveal as many more in the same step."""
        assert view.prediction is not None
        # a block without masks has ended
        due = middle_first(*count_of_steps(view), self.num_remasking) * view.masked.any(-1, keepdim=True)
        scores = view.held if view.noise is None else view.noise
        forget = lowest(scores, view.revealed, due)
        reveal = highest(view.prediction.confidence, view.masked, fixed_quota(view) + due)
        return Plan(reveal.double(), forget.double())

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} that the network is surest of, out of {masked} masked"

    def most_remasks(self, t: float, s: float, revealed: int) -> int:
        return self.k if self.version == "loop" else -(-self.num_remasking // round(1 / (t - s)))

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return RULES[self.version]

    def _in_loop(self, view: View) -> Tensor:
        return (view.t < T_ON + EDGE) & (view.s > T_OFF - EDGE)

    def _remasks_now(self, view: View) -> Tensor:
        """Return bool [B, 1]: whether this step of the loop remasks, as every other one does."""
        step = ((T_ON - view.t) / (view.t - view.s)).round().long()
        return self._in_loop(view) & (step % 2 == 0)


READS_OF = {
    "loop": frozenset({"masked", "committed"}),
    "random": frozenset({"masked", "noise"}),
    "held": frozenset({"masked", "held"}),
}
RULES = {
    "loop": "one of the least probable now",
    "random": "by chance",
    "held": "one of the least probable when revealed",
}
VERSIONS: dict[str, Callable[[LladaRemdm, View], Plan]] = {
    "loop": LladaRemdm.looped,
    "random": LladaRemdm.in_one_step,
    "held": LladaRemdm.in_one_step,
}
