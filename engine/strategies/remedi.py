"""RemeDi: in every step the positions of highest score are kept, and all others are masked, committed ones too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import SLACK, Plan, Strategy, View, knob
from engine.strategies.ranking import highest

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Remedi(Strategy):
    name = "remedi"
    summary = "Keep the positions of highest score, one share more each step, and mask all others."
    source = "Huang et al. 2025, RemeDi, arXiv 2509.23653; the authors' inference.py, generate_block_diffusion"
    preserves_marginal = False  # shares that are rounded down run behind the clock
    remasks = True
    reads = frozenset({"committed", "logit"})

    score: str = knob(
        "logit",
        "the network's logit of the token (the authors' code), or a trained head's score (their paper)",
        choices=("logit", "quality"),
    )

    def reading(self) -> frozenset[str]:
        return frozenset({"committed", self.score})

    def plan(self, view: View) -> Plan:
        keep = highest(self._score(view), view.masked | view.revealed, kept(view))
        return Plan((keep & view.masked).double(), (~keep & view.revealed).double())

    def _score(self, view: View) -> Tensor:
        """Return the score of the committed token, or of the drawn one at a mask, [B, L]."""
        seen = view.prediction
        assert seen is not None
        if self.score == "quality":
            return seen.quality
        # logits of one position differ by the ratio of the probabilities
        ratio = seen.current.clamp(min=1e-300).log() - seen.confidence.clamp(min=1e-300).log()
        return seen.logit + ratio.where(view.revealed, 0.0)

    def remask_rule(self, t: float, sigma_max: float) -> str:
        return "certain for what is not among the highest scores"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        return f"one of the {revealed} among the highest scores, out of {masked} masked"


def kept(view: View) -> Tensor:
    """Return how many positions are committed after this step, long [B, 1]; the last steps take the remainder."""
    positions = (view.masked | view.revealed).sum(-1, keepdim=True)
    steps = (1 / (view.t - view.s)).round().long()
    done = ((1 - view.s) * steps + SLACK).round().long()
    each, over = positions // steps, positions % steps
    return each * done + (done - (steps - over)).clamp(min=0)
