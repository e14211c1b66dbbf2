"""Dream's entropy order: each step reveals where the network's distribution is narrowest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import Prediction, knob
from engine.strategies.ranked import QuotaRule

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class EntropyOrder(QuotaRule):
    name = "entropy"
    summary = "Reveal the masked positions of lowest entropy, a share each step; never remask."
    source = "Ye et al. 2025, arXiv 2508.15487; Dream, generation_utils.py, _sample with alg entropy"
    reads = frozenset({"masked", "spread", "tempered"})
    measured_by = frozenset({"masked", "spread"})
    wording = "of the lowest entropy"

    confidence: str = knob(
        "tempered", "measured at temperature 1, or after temperature and nucleus", choices=("plain", "tempered")
    )

    def score(self, seen: Prediction) -> Tensor:
        return -seen.entropy
