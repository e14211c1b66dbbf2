"""T2M: LLaDA2.1 with masks in the place of edits, so that a doubtful token is predicted again.

The probabilities of new tokens are after temperature and nucleus, those of tokens that stand at temperature 1.  Only
`logit_diff`, which compares a token with its draw, has all of them at temperature 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import OwnMemory, Plan, Prediction, View, knob
from engine.strategies.llada21_edit import ThresholdBlocks, differs
from engine.strategies.ranking import highest
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class T2m(ThresholdBlocks):
    name = "t2m"
    summary = "Reveal above a threshold as LLaDA2.1, and mask doubtful tokens again, a limited number of times."
    source = "Token-to-mask refinement, arXiv 2604.18738; synsis/remasked_DLM, modeling_remask.py, _token_edit_step"
    reads = frozenset({"masked", "committed", "drawn", "tempered"})
    remasks = True

    rule: str = knob(
        "low_prob", "remask what is improbable now, what another token would replace, or what fell since the last call",
        choices=("low_prob", "t2t_remask", "logit_diff"),
    )  # fmt: skip
    low: float = knob(0.5, "remask where the token's probability is below this", 0, 1, needs=("rule", "low_prob"))
    sure: float = knob(0.9, "remask where another's probability is above this", 0, 1, needs=("rule", "t2t_remask"))
    fall: float = knob(0.3, "remask where the probability fell by more than this", 0, 1, needs=("rule", "logit_diff"))
    max_remask_per_pos: int = knob(5, "remasks of a position in its block, at most", 0, 4096)
    max_remask_ratio: float = knob(
        0.25, "largest share of the revealed tokens remasked in a step; at least one may be", 0, 1
    )

    def reading(self) -> frozenset[str]:
        compared = frozenset({"previous"}) if self.rule == "logit_diff" else frozenset({"tempered"})
        return self.reads - {"tempered"} | compared

    def initial_memory(self, like: Tensor) -> OwnMemory:
        """Return, besides, how often each position has been remasked in its block."""
        return {**super().initial_memory(like), "times": like.long()}

    def plan(self, view: View) -> Plan:
        seen = view.prediction
        assert seen is not None
        begins = view.t == 1
        times = view.memory["times"].masked_fill(begins, 0)
        doubted, doubt = RULES[self.rule](self, seen, view)
        doubted = doubted & view.revealed & (times < self.max_remask_per_pos)
        most = (view.revealed.sum(-1, keepdim=True).double() * self.max_remask_ratio).long().clamp(min=1)
        remask = highest(doubt, doubted, most)
        memory = {**self.after_step(view, remask), "times": times + remask}
        return Plan(self.revealed_by(seen, view).double(), remask.double(), memory=memory)

    def most_remasks(self, t: float, s: float, revealed: int) -> int:
        return max(1, int(revealed * self.max_remask_ratio)) if self.max_remask_per_pos else 0

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return TEXTS[self.rule](self)

    def improbable(self, seen: Prediction, view: View) -> tuple[Tensor, Tensor]:
        return seen.current < self.low, -seen.current

    def replaceable(self, seen: Prediction, view: View) -> tuple[Tensor, Tensor]:
        return differs(seen, view) & (seen.confidence > self.sure), seen.confidence

    def fallen(self, seen: Prediction, view: View) -> tuple[Tensor, Tensor]:
        last = view.previous
        assert last is not None
        # a token that was revealed by the last call had the probability of that draw
        before = last.current.where(~last.current.isnan(), last.confidence)
        # as published, the first call with anything to remask is not yet compared with the one before it
        compared = (last.current.isfinite() & (view.masked | view.revealed)).any(-1, keepdim=True)
        fell = before - seen.current
        return compared & (fell > self.fall), fell


RULES: dict[str, Callable[[T2m, Prediction, View], tuple[Tensor, Tensor]]] = {
    "low_prob": T2m.improbable,
    "t2t_remask": T2m.replaceable,
    "logit_diff": T2m.fallen,
}
"""Where a token is doubted, and how much."""
TEXTS: dict[str, Callable[[T2m], str]] = {
    "low_prob": lambda rule: f"probability now < {short(rule.low)}",
    "t2t_remask": lambda rule: f"another token has p > {short(rule.sure)}",
    "logit_diff": lambda rule: f"probability fell by more than {short(rule.fall)}",
}
