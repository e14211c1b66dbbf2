"""Reparameterized diffusion (RDM) as DPLM decodes: at each step the least certain positions are masked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import OwnMemory, Plan, Strategy, View, knob
from engine.strategies.ranking import below, gumbel, kept_masked, logarithm
from engine.strategies.schedules import cosine, linear_alpha

if TYPE_CHECKING:
    from torch import Tensor

SCHEDULES: dict[str, Callable[[Tensor], Tensor]] = {"linear": linear_alpha, "cosine": cosine}
READ_BY = {
    "gumbel": frozenset({"committed", "drawn", "noised"}),
    "vanilla": frozenset({"committed", "drawn", "tempered"}),
    "argmax": frozenset({"committed", "drawn", "logit"}),
}


@dataclass(frozen=True)
class Rdm(Strategy):
    """A revealed position is scored by a fresh draw there, but its token stays until it is masked.

    The authors fix temperature 1 for `gumbel` and 0 for `argmax`; here tokens are drawn at the run's.  Their second
    draw for rows that are full of one token is left out (`disable_resample`).  With `cond` that code stops as soon as a
    token is spared; here it goes on.
    """

    name = "rdm"
    summary = "Mask the least certain of fresh draws at all positions, revealed tokens too; reveal the rest."
    source = "Zheng et al. 2023, arXiv 2302.05737; DPLM, arXiv 2402.18567, generate and _reparam_decoding"
    reads = READ_BY["gumbel"]
    preserves_marginal = False  # what is masked is rounded down to whole tokens
    remasks = True

    condition: str = knob(
        "uncond",
        "mask all revealed tokens among the lowest, or those that are drawn again and score less than when revealed",
        choices=("uncond", "cond"),
    )
    schedule: str = knob("linear", "the masked share: 1 - t/T, or cos(pi t / 2T)", choices=tuple(SCHEDULES))
    sampling: str = knob(
        "gumbel", "score: log probability after Gumbel noise, after temperature, or the logit", choices=tuple(READ_BY)
    )
    topk: str = knob(
        "deterministic", "whether the choice has Gumbel noise of its own", choices=("deterministic", "stochastic")
    )
    scale: float = knob(
        1.0,
        "noise of that choice at the first step; it falls with the masked share",
        0,
        10,
        needs=("topk", "stochastic"),
    )

    def reading(self) -> frozenset[str]:
        return READ_BY[self.sampling] | ({"noise"} if self.topk == "stochastic" else set())

    def positions(self, view: View) -> Tensor:
        # nothing is masked any more: revealed tokens stay whatever their score
        return view.masked | (view.revealed & (kept_masked(view) > 0))

    def initial_memory(self, like: Tensor) -> OwnMemory:
        """Return the score of every token when it was revealed, if the rule reads it."""
        return {"score": like} if self.condition == "cond" else {}

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        seen = view.prediction
        score = seen.logit if self.sampling == "argmax" else logarithm(seen.confidence)
        ranked = score
        if self.topk == "stochastic":
            assert view.noise is not None
            ranked = score + self.scale * (1 - view.alpha_s) * gumbel(view.noise)
        lowest = below(ranked, view.masked | view.revealed, kept_masked(view))
        if self.condition == "uncond":
            return Plan((~lowest).double(), lowest.double())
        assert view.tokens is not None
        before = view.memory["score"]
        doubted = lowest & (seen.ids == view.tokens) & (score < before)
        memory = {"score": score.where(view.masked & ~lowest, before)}
        return Plan((~lowest).double(), doubted.double(), memory=memory)

    def alpha(self, t: Tensor) -> Tensor:
        return SCHEDULES[self.schedule](t)

    def keeps_quota(self) -> str:
        return "clock" if self.condition == "uncond" else ""

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return "among the lowest scores of fresh draws"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} that did not score lowest, out of {masked} masked"
