"""When a rule remasks: always, only below t_switch, or in ReMDM's loop between t_on and t_off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engine.strategies import schedules
from engine.strategies.base import Plan, Strategy, View, knob, posterior
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor


class When(NamedTuple):
    """Where sigma applies (bool, as t) and the clock that goes with it."""

    active: Callable[[Timed, Tensor], Tensor]
    alpha: Callable[[Timed, Tensor], Tensor]


WHEN = {
    "always": When(lambda k, t: t <= 1, lambda k, t: schedules.linear_alpha(t)),
    "switch": When(lambda k, t: t < k.t_switch, lambda k, t: schedules.linear_alpha(t)),
    "loop": When(
        lambda k, t: (t <= k.t_on) & (t > k.t_off),
        lambda k, t: schedules.loop(t, k.t_on, k.t_off, k.alpha_on),
    ),
}


@dataclass(frozen=True)
class Timed(Strategy):
    """A rule for sigma, composed with a `when` (ReMDM, arXiv 2503.00307: switch and loop)."""

    when: str = knob("always", "when remasking is on: always, below t_switch, or looping", choices=tuple(WHEN))
    t_switch: float = knob(0.5, "remask only below this time", 0, 1, needs=("when", "switch"))
    t_on: float = knob(0.55, "the loop begins at this time", 0.01, 0.99, needs=("when", "loop"))
    t_off: float = knob(0.05, "the loop ends at this time", 0.001, 0.98, needs=("when", "loop"))
    alpha_on: float = knob(0.9, "unmasked fraction held in the loop", 0.01, 0.99, needs=("when", "loop"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.when == "loop" and self.t_off >= self.t_on:
            raise ValueError(f"t_off must lie below t_on = {self.t_on:g}, not at {self.t_off:g}")

    def sigma(self, view: View) -> Tensor:
        """Return the rule: the probability of remasking, [B, 1] or [B, L]."""
        raise TypeError(f"{type(self).__name__} has no sigma")

    def plan(self, view: View) -> Plan:
        return posterior(view, self.sigma(view) * WHEN[self.when].active(self, view.t))

    def rule_text(self, sigma_max: float) -> str:
        """Return the rule in words with its numbers."""
        return ""

    def remask_rule(self, t: float, sigma_max: float) -> str:
        where = {
            "switch": f" below t_switch {short(self.t_switch)}",
            "loop": f" in the loop, t {short(self.t_on)} to {short(self.t_off)}",
        }
        return self.rule_text(sigma_max) + where.get(self.when, "")

    def alpha(self, t: Tensor) -> Tensor:
        return WHEN[self.when].alpha(self, t)
