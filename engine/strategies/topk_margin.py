"""Top-k margin: each step reveals where the most probable token leads the second by most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import Prediction, knob
from engine.strategies.ranked import QuotaRule

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TopkMargin(QuotaRule):
    name = "topk-margin"
    summary = "Reveal where the most probable token leads the second by most, a share each step; never remask."
    source = "Kim et al. 2025, arXiv 2502.06768; Dream, generation_utils.py, _sample with alg topk_margin"
    reads = frozenset({"masked", "spread", "tempered"})
    measured_by = frozenset({"masked", "spread"})
    wording = "of the widest margin"

    confidence: str = knob(
        "tempered", "measured at temperature 1, or after temperature and nucleus", choices=("plain", "tempered")
    )

    def score(self, seen: Prediction) -> Tensor:
        return seen.margin
