"""The settings of a pane as text: NAME:knob=value,..., for the command line and the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.records import SHARED_KNOBS, Settings, StrategyInfo
from remdm_tui.settings.knobs import knob_text, parse_knobs


def pane_settings(text: str, base: Settings, strategies: Sequence[StrategyInfo]) -> Settings:
    """Return the settings that a text describes; shared knobs are those of `base` unless they are given.

    Raises ValueError that names the valid values.
    """
    name, colon, rest = (part.strip() for part in text.partition(":"))
    info = next((info for info in strategies if info.name == name), None)
    if info is None:
        raise ValueError(f"unknown strategy {name!r}: choose one of {', '.join(info.name for info in strategies)}")
    given = parse_knobs((part.strip() for part in rest.split(",")), None) if colon else {}
    own, shared = ({knob.name: knob for knob in knobs} for knobs in (info.knobs, SHARED_KNOBS))
    for knob in given:
        if knob not in own and knob not in shared:
            raise ValueError(f"{name} has no knob {knob!r}: choose one of {', '.join([*own, *shared])}")
    knobs = {knob.name: knob.check(given.get(knob.name, knob.default)) for knob in info.knobs}
    more: dict[str, Any] = {knob: shared[knob].check(value) for knob, value in given.items() if knob in shared}
    return replace(base, strategy=name, knobs=knobs, **more)


def titled(settings: Settings, strategies: Sequence[StrategyInfo]) -> str:
    """Return the strategy with the knobs that differ from their defaults."""
    info = next((info for info in strategies if info.name == settings.strategy), None)
    plain = {knob.name: knob.default for knob in (() if info is None else info.knobs)}
    parts = [f"{name}={knob_text(value)}" for name, value in settings.knobs.items() if plain.get(name, value) != value]
    for knob in SHARED_KNOBS:
        value = getattr(settings, knob.name)
        if value != knob.default:
            parts.append(f"{knob.name}={knob_text(value)}")
    return " ".join([settings.strategy, *parts])
