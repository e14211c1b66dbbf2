"""ReMDM-cap: remask with a constant probability, capped by its bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import View, knob
from engine.strategies.when import Timed
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RemdmCap(Timed):
    name = "remdm-cap"
    summary = "Remask every revealed token with probability min(eta, sigma_max)."
    source = "Wang et al. 2025, arXiv 2503.00307, max-capped schedule"
    remasks = True

    eta: float = knob(0.02, "cap on the probability of remasking a token in one step", 0, 1, scale="log")

    def sigma(self, view: View) -> Tensor:
        return view.sigma_max.clamp(max=self.eta)

    def rule_text(self, sigma_max: float) -> str:
        return f"cap: min(eta {short(self.eta)}, sigma_max {short(sigma_max)})"
