"""What can be trained on, by name: each objective says which kind of network it trains and its loss per sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.training.objectives import ar, mdlm
from engine.training.objectives.protocol import Objective

if TYPE_CHECKING:
    from engine.training.config import TrainConfig

__all__ = ["OBJECTIVES", "Objective", "make_objective"]

OBJECTIVES: dict[str, Callable[[TrainConfig, int], Objective]] = {"mdlm": mdlm.make, "ar": ar.make}
"""Each makes one from a run's configuration and the token that ends a text."""


def make_objective(config: TrainConfig, end: int) -> Objective:
    """The objective that the configuration names; end: the token that ends a text."""
    return OBJECTIVES[config.objective](config, end)
