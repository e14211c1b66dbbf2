"""Training objectives by name, each with the kind of network it trains and its loss per sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from engine.models.loading import Discrete
from engine.training.objectives import ar, d3pm, mdlm, sedd, ssd_lm
from engine.training.objectives.protocol import Objective

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig", "make_objective"]


class ObjectiveConfig(mdlm.MDLMConfig, d3pm.D3PMConfig, sedd.SEDDConfig, ssd_lm.SSDLMConfig, Protocol):
    """The part of a run's configuration that objectives take; each declares its own."""

    @property
    def objective(self) -> str: ...


class Entry(NamedTuple):
    make: Callable[[ObjectiveConfig, int | None], Objective]
    """makes it from a run's configuration and the token that ends a text, None where none does"""
    timed: bool
    """whether its network takes the noise level by default"""
    grids: bool = False
    """whether it trains networks for grids"""
    begins: bool = True
    """whether a run may begin with the weights of an existing model"""
    shares: Callable[[ObjectiveConfig], tuple[float, float]] = lambda config: (1.0, 0.5)
    """returns the shares of a row's tokens that go through its network and through its head, in the mean"""
    discrete: Callable[[ObjectiveConfig], Discrete | None] = lambda config: None
    """returns its settings if it trains in steps"""


OBJECTIVES: dict[str, Entry] = {
    "mdlm": Entry(mdlm.make, timed=False, grids=True),
    "sedd": Entry(sedd.make, timed=True),
    "d3pm": Entry(d3pm.make, timed=True, discrete=d3pm.discrete),
    "ar": Entry(ar.make, timed=False, shares=lambda config: (1.0, 1.0)),
    "ssd-lm": Entry(ssd_lm.make, timed=False, begins=False, shares=ssd_lm.computed_shares),
}


def make_objective(config: ObjectiveConfig, end: int | None) -> Objective:
    """Return the objective that the configuration names; end: the token that ends a text, None where none does."""
    return OBJECTIVES[config.objective].make(config, end)
