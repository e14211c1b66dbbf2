"""What can be trained on, by name: each objective says which kind of network it trains and its loss per sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from engine.training.objectives import ar, d3pm, mdlm, sedd
from engine.training.objectives.protocol import Objective

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig", "make_objective"]


class ObjectiveConfig(mdlm.MDLMConfig, d3pm.D3PMConfig, sedd.SEDDConfig, Protocol):
    """What the objectives take of a run's configuration; each declares its own part."""

    @property
    def objective(self) -> str: ...


class Entry(NamedTuple):
    make: Callable[[ObjectiveConfig, int], Objective]
    """from a run's configuration and the token that ends a text"""
    timed: bool
    """whether its network hears the noise level where the configuration does not say"""


OBJECTIVES: dict[str, Entry] = {
    "mdlm": Entry(mdlm.make, timed=False),
    "sedd": Entry(sedd.make, timed=True),
    "d3pm": Entry(d3pm.make, timed=True),
    "ar": Entry(ar.make, timed=False),
}


def make_objective(config: ObjectiveConfig, end: int) -> Objective:
    """The objective that the configuration names; end: the token that ends a text."""
    return OBJECTIVES[config.objective].make(config, end)
