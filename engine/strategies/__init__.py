"""The strategies, by name.  A new one is one file and one line here."""

from __future__ import annotations

from typing import Any

from engine.records import StrategyInfo
from engine.strategies.base import Candidates, Plan, Strategy, View, describe, knob, posterior, values
from engine.strategies.dfm import Dfm
from engine.strategies.forward_backward import ForwardBackward
from engine.strategies.left_to_right import LeftToRight
from engine.strategies.low_confidence import LowConfidence
from engine.strategies.mdlm import Mdlm
from engine.strategies.remdm_cap import RemdmCap
from engine.strategies.remdm_conf import RemdmConf
from engine.strategies.remdm_loop import RemdmLoop
from engine.strategies.remdm_rescale import RemdmRescale

REGISTRY: dict[str, type[Strategy]] = {
    strategy.name: strategy
    for strategy in (
        Mdlm,
        RemdmCap,
        RemdmRescale,
        RemdmConf,
        RemdmLoop,
        ForwardBackward,
        Dfm,
        LowConfidence,
        LeftToRight,
    )
}

__all__ = [
    "REGISTRY", "Candidates", "Plan", "Strategy", "View", "catalogue", "describe", "knob", "make_strategy",
    "posterior", "values",
]  # fmt: skip


def make_strategy(name: str, /, **knobs: Any) -> Strategy:
    """A strategy by name, with its knobs.  Raises ValueError that lists the valid names, knobs or range."""
    if name not in REGISTRY:
        raise ValueError(f"unknown strategy {name!r}: choose one of {', '.join(REGISTRY)}")
    valid = [info.name for info in describe(REGISTRY[name]).knobs]
    for given in knobs:
        if given not in valid:
            has = f"its knobs are {', '.join(valid)}" if valid else "it has none"
            raise ValueError(f"{name} has no knob {given!r}: {has}")
    return REGISTRY[name](**knobs)


def catalogue() -> tuple[StrategyInfo, ...]:
    """All strategies, as plain data."""
    return tuple(describe(strategy) for strategy in REGISTRY.values())
