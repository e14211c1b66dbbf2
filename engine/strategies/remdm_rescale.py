"""ReMDM-rescale: remask with a fixed share of the largest valid probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import View, knob
from engine.strategies.when import Timed
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RemdmRescale(Timed):
    name = "remdm-rescale"
    summary = "Remask every revealed token with probability eta * sigma_max."
    source = "Wang et al. 2025, arXiv 2503.00307, rescaled schedule"
    remasks = True

    eta: float = knob(0.015, "share of sigma_max", 0, 1, scale="log")

    def sigma(self, view: View) -> Tensor:
        return view.sigma_max * self.eta

    def rule_text(self, sigma_max: float) -> str:
        return f"rescale: eta {short(self.eta)} * sigma_max {short(sigma_max)}"
