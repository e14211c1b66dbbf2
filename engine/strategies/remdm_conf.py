"""ReMDM-conf: one remask a step in expectation, spent on the tokens that were least certain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import View, knob
from engine.strategies.when import Timed
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor

BASES: dict[str, Callable[[View, float], Tensor]] = {
    "max": lambda view, eta: view.sigma_max,
    "cap": lambda view, eta: view.sigma_max.clamp(max=eta),
    "rescale": lambda view, eta: view.sigma_max * eta,
}

BASE_TEXTS: dict[str, Callable[[float, float], str]] = {
    "max": lambda eta, sigma_max: f"sigma_max {short(sigma_max)}",
    "cap": lambda eta, sigma_max: f"min(eta {short(eta)}, sigma_max {short(sigma_max)})",
    "rescale": lambda eta, sigma_max: f"eta {short(eta)} * sigma_max {short(sigma_max)}",
}
"""The bases in words."""


def doubt(view: View) -> Tensor:
    """Return the softmax of -psi over the revealed positions, psi the probability held; 0 elsewhere, [B, L]."""
    weights = (-view.held).exp().where(view.revealed, 0.0)
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-300)


@dataclass(frozen=True)
class RemdmConf(Timed):
    name = "remdm-conf"
    summary = "Spread sigma over revealed tokens by a softmax of how unsure each was when revealed."
    source = "Wang et al. 2025, arXiv 2503.00307, confidence-based schedule"
    remasks = True
    reads = frozenset({"held"})
    preserves_marginal = False  # a masked position's own sigma is 0, so nothing makes up for what is remasked

    base: str = knob("max", "sigma that is spread: sigma_max, capped or rescaled by eta", choices=tuple(BASES))
    eta: float = knob(0.5, "cap or share of sigma_max for those bases", 0, 1, needs=("base", "cap|rescale"))

    def sigma(self, view: View) -> Tensor:
        return doubt(view) * BASES[self.base](view, self.eta)

    def rule_text(self, sigma_max: float) -> str:
        return f"conf: softmax(-p when revealed) * {BASE_TEXTS[self.base](self.eta, sigma_max)}"
