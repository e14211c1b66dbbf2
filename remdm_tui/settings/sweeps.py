"""A grid of settings: every combination of what was listed, once each, with a name for its directory."""

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
"""Options that a sweep can go over; any other name is a strategy's knob."""
NUMBERS = {"eta": float, "top_p": float, "temperature": float} | dict.fromkeys(
    ("steps", "length", "seed", "block_length", "stride", "strides"), int
)
ROW = "row"
"""The axis of a preset's rows."""
UNSAFE = re.compile(r"[^\w.=,+-]")
"""What no directory is named with."""


@dataclass(frozen=True)
class Axis:
    """One setting and the values that it takes."""

    name: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Axis:
        """`steps=128,256`.  Raises ValueError."""
        name, equals, values = text.partition("=")
        found = tuple(value.strip() for value in values.split(","))
        name = name.strip().replace("-", "_")
        if not (name and equals and all(found)):
            raise ValueError(f"a sweep goes over name=value,value,..., not over {text!r}")
        if len(set(found)) < len(found):
            raise ValueError(f"the sweep over {name} names a value twice")
        return cls(name, found)


@dataclass(frozen=True)
class Cell:
    """One combination; the one of no sweep has no name."""

    name: str
    asked: RunArguments


def grid(asked: RunArguments, texts: Sequence[str], strategies: Sequence[StrategyInfo]) -> list[Cell]:
    """What `eval` goes through: the rows of the preset, each over its own axes and those of `texts`, which go before.

    An axis `row` chooses among the rows.  Raises ValueError.
    """
    preset = presets.read(asked.preset) if asked.preset is not None else None
    if preset is None or not preset.rows:
        return cells(asked, _over(texts, () if preset is None else preset.sweep, asked), strategies)
    chosen = next((Axis.of(text).values for text in texts if _name(text) == ROW), None)
    swept = {_name(text) for text in preset.sweep}
    found = []
    for name in chosen or preset.rows:
        row = preset.row(name)
        try:
            asked_row = replace(asked, preset=f"{asked.preset}/{name}")
            asked_row.options()
            # a row may go without an axis of the others
            without = {ROW, *swept.difference(map(_name, row.sweep))}
            typed = [text for text in texts if _name(text) not in without]
            below = cells(asked_row, _over(typed, row.sweep, asked), strategies)
        except ValueError as error:
            rest = ",".join(other for other in preset.rows if other != name)
            raise ValueError(f"row {name}: {error} (without this row: --sweep row={rest})") from error
        found += [Cell(",".join(filter(None, (name, cell.name))), cell.asked) for cell in below]
    return found


def _over(texts: Sequence[str], preset: Sequence[str], asked: RunArguments) -> list[str]:
    """The axes of a preset that nothing was said of, under those that were typed."""
    typed = set(map(_name, texts))
    own = [text for text in preset if _name(text) not in typed and getattr(asked, _name(text), None) is None]
    return [*own, *texts]


def _name(axis: str) -> str:
    return axis.partition("=")[0].strip().replace("-", "_")


def cells(asked: RunArguments, texts: Sequence[str], strategies: Sequence[StrategyInfo]) -> list[Cell]:
    """Every combination of the axes over what was asked, or that alone where there is no axis.

    A knob that a strategy does not have is left out of its combinations, which are not repeated for its values.
    Raises ValueError for an axis that is none.
    """
    axes = [Axis.of(text) for text in texts]
    if len({axis.name for axis in axes}) < len(axes):
        raise ValueError("a sweep names each setting once: give all its values together")
    knobs = {info.name: {knob.name for knob in info.knobs} for info in strategies}
    every = set().union(*knobs.values())
    for axis in axes:
        if axis.name not in OWN and axis.name not in every:
            raise ValueError(f"a sweep has no setting {axis.name!r}: choose {', '.join(OWN)}, or a strategy's knob")
    # the strategy says which knobs there are
    axes.sort(key=lambda axis: axis.name != "strategy")
    found: dict[str, Cell] = {}
    for values in product(*(axis.values for axis in axes)):
        pairs = dict(zip((axis.name for axis in axes), values, strict=True))
        strategy = pairs.get("strategy", asked.strategy)
        if strategy in knobs:
            pairs = {k: v for k, v in pairs.items() if k not in every or k in knobs[strategy]}
        name = UNSAFE.sub("_", ",".join(f"{k}={v}" for k, v in pairs.items()))
        found.setdefault(name, Cell(name, _with(asked, dict(_typed(pairs)))))
    return list(found.values())


def _typed(pairs: dict[str, str]) -> Iterator[tuple[str, Any]]:
    for name, text in pairs.items():
        kind = NUMBERS.get(name, str)
        try:
            yield name, kind(text)
        except ValueError:
            raise ValueError(f"the sweep over {name} takes numbers, not {text!r}") from None


def _with(asked: RunArguments, values: dict[str, Any]) -> RunArguments:
    own = {field.name for field in fields(RunArguments)}
    knobs = {name: value for name, value in values.items() if name not in own}
    for name in knobs:
        if any(text.partition("=")[0].strip() == name for text in asked.knob):
            raise ValueError(f"{name} is both swept over and set by --knob: leave one out")
    told = (*asked.knob, *(f"{name}={value}" for name, value in knobs.items()))
    return replace(asked, knob=told, **{name: value for name, value in values.items() if name in own})
