"""What can be trained on, by name: each objective says which kind of network it trains and its loss per sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from engine.training.objectives import ar, d3pm, mdlm, sedd
from engine.training.objectives.protocol import Objective

if TYPE_CHECKING:
    from engine.training.config import TrainConfig

__all__ = ["OBJECTIVES", "Objective", "make_objective"]


class Entry(NamedTuple):
    make: Callable[[TrainConfig, int], Objective]
    """from a run's configuration and the token that ends a text"""
    timed: bool
    """whether its network hears the noise level where the configuration does not say"""


OBJECTIVES: dict[str, Entry] = {
    "mdlm": Entry(mdlm.make, timed=False),
    "sedd": Entry(sedd.make, timed=True),
    "d3pm": Entry(d3pm.make, timed=True),
    "ar": Entry(ar.make, timed=False),
}


def make_objective(config: TrainConfig, end: int) -> Objective:
    """The objective that the configuration names; end: the token that ends a text."""
    return OBJECTIVES[config.objective].make(config, end)
