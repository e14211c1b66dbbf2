"""Tables of series: a column for each number of steps, or a row for each evaluation with everything measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any, Generic, TypeVar

from remdm_tui.reports.numbers import NONE
from remdm_tui.reports.panels import Panel, Quantity, Value, combined, mean
from remdm_tui.reports.records import Evaluated, Point, Series
from remdm_tui.reports.table import Cell, Column, Table

E = TypeVar("E", bound=Evaluated)
Fronts = Mapping[tuple[str, int], Sequence[str]]
"""The Pareto fronts that a setting is on, in words, by series and steps."""


@dataclass(frozen=True)
class MeasuredColumn(Generic[E]):
    """A column of the table of a series."""

    title: str
    form: Callable[[float], str]
    of: Callable[[E], Value | None]
    core: bool = False
    symmetric: bool = False
    """whether the bounds are the value plus and minus a deviation"""


def by_steps(series: Sequence[Series[E]], quantities: Iterable[Quantity[E]]) -> tuple[Table, ...]:
    """Return a table of series by numbers of steps for each quantity; empty for a single number of steps."""
    steps = sorted({point.steps for one in series for point in one.points})
    if len(steps) < 2:
        return ()
    columns = (Column("series", textual=True), *(Column(f"T={n}") for n in steps))
    return tuple(
        Table(quantity.title, columns, tuple(_across(one, quantity, steps) for one in series))
        for quantity in quantities
    )  # fmt: skip


def _across(series: Series[E], quantity: Quantity[E], steps: Sequence[int]) -> tuple[Cell, ...]:
    points = {point.steps: point for point in series.points}
    cells = [Cell(series.name)]
    for number in steps:
        point = points.get(number)
        values = [v for e in point.evaluations if (v := quantity.of(e)) is not None] if point else []
        cells.append(Cell(quantity.form(combined(values).value) if values else NONE))
    return tuple(cells)


def series_table(
    series: Series[E], columns: Iterable[MeasuredColumn[E]], samples: Callable[[E], int], fronts: Fronts
) -> Table:
    """Return the table of a series: a row for each evaluation, and a mean over seeds for settings with several."""
    shown = [m for m in columns if any(m.of(e) is not None for e in series.evaluations)]
    heads = [Column("T"), Column("seed"), Column("N", core=False)]
    heads += [Column(m.title, m.core) for m in shown]
    marked = any((series.name, point.steps) in fronts for point in series.points)
    rows = [row for point in series.points for row in _rows(point, shown, samples)]
    if marked:
        heads.append(Column("Pareto front", core=False, textual=True))
        rows = [(*row, Cell(cell)) for row, cell in zip(rows, _marks(series, fronts), strict=True)]
    return Table(series.name, tuple(heads), tuple(rows), setting(series))


def setting(series: Series[Any]) -> str:
    """Return every knob of the strategy, in one line."""
    return ", ".join(f"{name} {value}" for name, value in series.first.knobs.items())


def _rows(
    point: Point[E], columns: Sequence[MeasuredColumn[E]], samples: Callable[[E], int]
) -> Iterator[tuple[Cell, ...]]:
    for one in point.evaluations:
        yield (
            Cell(str(one.steps)), Cell(str(one.seed)), Cell(f"{samples(one):,}"),
            *(cell(m.of(one), m.form, m.symmetric) for m in columns),
        )  # fmt: skip
    if len(point.evaluations) > 1:
        yield (
            Cell(str(point.steps)), Cell("mean"), Cell(f"{sum(map(samples, point.evaluations)):,}"),
            *(_mean([v for e in point.evaluations if (v := m.of(e)) is not None], m.form) for m in columns),
        )  # fmt: skip


def cell(value: Value | None, form: Callable[[float], str], symmetric: bool = False) -> Cell:
    """Return a value with its bounds."""
    if value is None:
        return Cell(NONE)
    if symmetric and value.high is not None:
        return Cell(form(value.value), f"±{form(value.high - value.value)}")
    if value.low is None or value.high is None:
        return Cell(form(value.value))
    return Cell(form(value.value), f"[{form(value.low)}, {form(value.high)}]")


def _mean(values: Sequence[Value], form: Callable[[float], str]) -> Cell:
    numbers = [v.value for v in values]
    if len(numbers) < 2:
        return Cell(form(numbers[0]) if numbers else NONE)
    return Cell(form(mean(numbers)), f"±{form(stdev(numbers))}")


def fronts(panels: Iterable[Panel]) -> Fronts:
    """Return the fronts that each setting is on in these panels."""
    found: dict[tuple[str, int], list[str]] = {}
    for panel in panels:
        for line in panel.lines:
            for dot in line.dots:
                if dot.front:
                    found.setdefault((line.name, dot.steps), []).append(f"{panel.quantity.title}/{panel.axis.key}")
    return found


def _marks(series: Series[Any], fronts: Fronts) -> Iterator[str]:
    """Yield the cells of the last column; the mark of a setting is in its last row, that of the mean."""
    for point in series.points:
        rows = len(point.evaluations) + (len(point.evaluations) > 1)
        yield from [""] * (rows - 1)
        yield ", ".join(fronts.get((series.name, point.steps), ()))
