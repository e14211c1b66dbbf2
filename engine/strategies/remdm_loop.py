"""ReMDM-loop: reveal most of the text, then hold alpha and correct it in place, then finish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.strategies.base import View, knob
from engine.strategies.remdm_conf import doubt
from engine.strategies.when import Timed
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor

RULES: dict[str, Callable[[View, float], Tensor]] = {
    "constant": lambda view, eta: view.sigma_max * 0 + eta,
    "cap": lambda view, eta: view.sigma_max.clamp(max=eta),
    "rescale": lambda view, eta: view.sigma_max * eta,
    "conf": lambda view, eta: doubt(view) * view.sigma_max,
}

RULE_TEXTS: dict[str, Callable[[float, float], str]] = {
    "constant": lambda eta, sigma_max: f"eta {short(eta)}",
    "cap": lambda eta, sigma_max: f"min(eta {short(eta)}, sigma_max {short(sigma_max)})",
    "rescale": lambda eta, sigma_max: f"eta {short(eta)} * sigma_max {short(sigma_max)}",
    "conf": lambda eta, sigma_max: f"softmax(-p when revealed) * sigma_max {short(sigma_max)}",
}
"""The rules in words."""


@dataclass(frozen=True)
class RemdmLoop(Timed):
    name = "remdm-loop"
    summary = "Reveal to alpha_on, remask and refill at constant alpha from t_on to t_off, then finish."
    source = "Wang et al. 2025, arXiv 2503.00307, ReMDM-loop"
    remasks = True
    reads = frozenset({"held"})
    preserves_marginal = True
    leaves_range = "sigma = eta > sigma_max = 0 at the last step, if the loop reaches it"

    eta: float = knob(0.02, "probability of remasking a token in one step of the loop", 0, 1, scale="log")
    t_on: float = knob(0.55, "the loop begins at this time", 0.01, 0.99)
    t_off: float = knob(0.05, "the loop ends at this time", 0.001, 0.98)
    alpha_on: float = knob(0.9, "unmasked fraction held in the loop", 0.01, 0.99)
    rule: str = knob("constant", "sigma in the loop; constant is not bounded", choices=tuple(RULES))
    when: str = knob("loop", "always loops", choices=("loop",))

    def sigma(self, view: View) -> Tensor:
        return RULES[self.rule](view, self.eta)

    def rule_text(self, sigma_max: float) -> str:
        return RULE_TEXTS[self.rule](self.eta, sigma_max)
