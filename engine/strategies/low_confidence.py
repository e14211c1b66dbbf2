"""Low-confidence remasking as LLaDA names it: each step reveals the candidates the network is surest of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import Prediction
from engine.strategies.ranked import QuotaRule

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LowConfidence(QuotaRule):
    name = "low-confidence"
    summary = "Reveal the masked positions the network is surest of, an equal share each step; never remask."
    source = "Chang et al. 2022, arXiv 2202.04200; LLaDA, arXiv 2502.09992, low-confidence remasking"
    reads = frozenset({"masked"})
    wording = "that the network is surest of"

    def score(self, seen: Prediction) -> Tensor:
        return seen.confidence
