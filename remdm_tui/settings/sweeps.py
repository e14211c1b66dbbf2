"""Sweeps: every combination of the listed settings, once each, with a name for its directory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from engine.records import StrategyInfo
from remdm_tui.settings import presets
from remdm_tui.settings.run_arguments import RunArguments

OWN = ("model", "strategy", "eta", "top_p", "temperature", "nucleus", "draw", "steps", "length", "seed", "block_length",
       "stride", "strides", "dtype")  # fmt: skip
"""Options that can be swept over; any other name is a knob of the strategy."""
NUMBERS = {"eta": float, "top_p": float, "temperature": float} | dict.fromkeys(
    ("steps", "length", "seed", "block_length", "stride", "strides"), int
)
ROW, PRESET = "row", "preset"
"""The axes over the rows of a preset, and over presets."""
UNSAFE = re.compile(r"[^\w.=,+-]")
"""Characters that are replaced in the name of a directory."""


@dataclass(frozen=True)
class SweepAxis:
    """One setting and its values."""

    name: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> SweepAxis:
        """Parse an axis such as `steps=128,256`. Raises ValueError."""
        name, equals, values = text.partition("=")
        found = tuple(value.strip() for value in values.split(","))
        name = name.strip().replace("-", "_")
        if not (name and equals and all(found)):
            raise ValueError(f"--sweep needs name=value,value,..., not {text!r}")
        if len(set(found)) < len(found):
            raise ValueError(f"the sweep over {name} has a value twice")
        return cls(name, found)


@dataclass(frozen=True)
class Combination:
    """One combination; its name is empty if there is no sweep."""

    name: str
    arguments: RunArguments


def grid(arguments: RunArguments, texts: Sequence[str], strategies: Sequence[StrategyInfo]) -> list[Combination]:
    """Return all combinations of `eval`: the rows of the preset, each over its own axes and those of `texts`.

    texts: axes as --sweep takes them; they replace the preset's.  An axis `row` selects rows, and an axis `preset`
    names presets in place of the one of the arguments.  Raises ValueError.
    """
    named = next((SweepAxis.of(text).values for text in texts if _name(text) == PRESET), None)
    if named is not None:
        return _over_presets(arguments, named, [text for text in texts if _name(text) != PRESET], strategies)
    preset = presets.read_preset(arguments.preset) if arguments.preset is not None else None
    if preset is None or not preset.rows:
        return combinations(arguments, _axes(texts, () if preset is None else preset.sweep, arguments), strategies)
    chosen = next((SweepAxis.of(text).values for text in texts if _name(text) == ROW), None)
    swept = {_name(text) for text in preset.sweep}
    result = []
    for name in chosen or preset.rows:
        row = preset.row(name)
        try:
            row_arguments = replace(arguments, preset=f"{arguments.preset}/{name}")
            row_arguments.options()
            # a row may lack an axis of the others
            without = {ROW, *swept.difference(map(_name, row.sweep))}
            typed = [text for text in texts if _name(text) not in without]
            row_combinations = combinations(row_arguments, _axes(typed, row.sweep, arguments), strategies)
        except ValueError as error:
            rest = ",".join(other for other in preset.rows if other != name)
            raise ValueError(f"row {name}: {error} (without this row: --sweep row={rest})") from error
        result += [Combination(",".join(filter(None, (name, one.name))), one.arguments) for one in row_combinations]
    return result


def _over_presets(
    arguments: RunArguments, names: Sequence[str], texts: Sequence[str], strategies: Sequence[StrategyInfo]
) -> list[Combination]:
    if arguments.preset is not None:
        raise ValueError("presets are swept over or given by --preset: leave one out")
    return [
        Combination(",".join(filter(None, (UNSAFE.sub("_", name), one.name))), one.arguments)
        for name in names
        for one in grid(replace(arguments, preset=name), texts, strategies)
    ]


def _axes(texts: Sequence[str], preset: Sequence[str], arguments: RunArguments) -> list[str]:
    """Return the axes of a preset whose settings were not given, then those of the command line."""
    typed = set(map(_name, texts))
    own = [text for text in preset if _name(text) not in typed and getattr(arguments, _name(text), None) is None]
    return [*own, *texts]


def _name(axis: str) -> str:
    return axis.partition("=")[0].strip().replace("-", "_")


def combinations(
    arguments: RunArguments, texts: Sequence[str], strategies: Sequence[StrategyInfo]
) -> list[Combination]:
    """Return every combination of the axes, or the arguments alone if there is no axis.

    A knob that a strategy does not have is left out of its combinations, which are not repeated for its values.
    Raises ValueError for an axis of an unknown setting.
    """
    axes = [SweepAxis.of(text) for text in texts]
    if len({axis.name for axis in axes}) < len(axes):
        raise ValueError("a setting can be swept over once: give all its values together")
    knobs = {info.name: {knob.name for knob in info.knobs} for info in strategies}
    every = set().union(*knobs.values())
    for axis in axes:
        if axis.name not in OWN and axis.name not in every:
            raise ValueError(f"cannot sweep over {axis.name!r}: choose {', '.join(OWN)}, or a strategy's knob")
    # the strategy decides which knobs there are
    axes.sort(key=lambda axis: axis.name != "strategy")
    by_name: dict[str, Combination] = {}
    for values in product(*(axis.values for axis in axes)):
        pairs = dict(zip((axis.name for axis in axes), values, strict=True))
        strategy = pairs.get("strategy", arguments.strategy)
        if strategy in knobs:
            pairs = {k: v for k, v in pairs.items() if k not in every or k in knobs[strategy]}
        name = UNSAFE.sub("_", ",".join(f"{k}={v}" for k, v in pairs.items()))
        by_name.setdefault(name, Combination(name, _with(arguments, dict(_parsed(pairs)))))
    return list(by_name.values())


def _parsed(pairs: dict[str, str]) -> Iterator[tuple[str, Any]]:
    for name, text in pairs.items():
        kind = NUMBERS.get(name, str)
        try:
            yield name, kind(text)
        except ValueError:
            raise ValueError(f"the sweep over {name} needs numbers, not {text!r}") from None


def _with(arguments: RunArguments, values: dict[str, Any]) -> RunArguments:
    own = {field.name for field in fields(RunArguments)}
    knobs = {name: value for name, value in values.items() if name not in own}
    for name in knobs:
        if any(text.partition("=")[0].strip() == name for text in arguments.knob):
            raise ValueError(f"{name} is both swept over and set by --knob: leave one out")
    texts = (*arguments.knob, *(f"{name}={value}" for name, value in knobs.items()))
    return replace(arguments, knob=texts, **{name: value for name, value in values.items() if name in own})
