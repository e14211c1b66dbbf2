"""Plots as plain data: each quality against steps, network calls and seconds, with the Pareto fronts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar

from engine.evaluation.metrics import METRICS, figure_of
from remdm_tui.reports.numbers import decimals, format_perplexity
from remdm_tui.reports.records import Evaluated, Evaluation, Group, Point, Series

E = TypeVar("E", bound=Evaluated)


@dataclass(frozen=True)
class Value:
    """A number and its bounds, if it has any."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Quantity(Generic[E]):
    """A quality on the vertical axis."""

    key: str
    title: str
    better: Literal["lower", "higher"] | None
    """None for entropy, which should be that of data"""
    of: Callable[[E], Value | None]
    form: Callable[[float], str]
    range: float = float("inf")
    """ratio of the largest value to the smallest above which the scale is logarithmic"""


@dataclass(frozen=True)
class Axis(Generic[E]):
    """The horizontal axis, whose scale is always logarithmic."""

    key: str
    title: str
    of: Callable[[E], float]
    cost: bool
    """whether a Pareto front is drawn: less is better, and the value is measured, not chosen"""


@dataclass(frozen=True)
class Dot:
    """One setting; a mean where it has several seeds."""

    steps: int
    x: float
    y: Value
    front: bool = False


@dataclass(frozen=True)
class PlotLine:
    """A series; `number` is its index in the group, which decides how it looks in every panel."""

    name: str
    number: int
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Panel:
    """One quality against one axis."""

    quantity: Quantity[Any]
    axis: Axis[Any]
    lines: tuple[PlotLine, ...]

    @property
    def logarithmic(self) -> bool:
        """Return whether the scale of the quality is logarithmic."""
        values = [dot.y.value for line in self.lines for dot in line.dots]
        return min(values) > 0 and max(values) / min(values) > self.quantity.range


def quantities() -> Iterator[Quantity[Evaluation]]:
    """Yield what is drawn: all of METRICS."""
    for name, metric in METRICS.items():
        form = format_perplexity if metric.perplexity else decimals(3)
        yield Quantity(name, metric.title, metric.better, partial(_value, name), form, metric.range)


def _value(name: str, one: Evaluation) -> Value | None:
    figure = figure_of(name, one.results, one.terms.conventions)
    return None if figure is None else Value(figure.value, figure.low, figure.high)


AXES: MappingProxyType[str, Axis[Evaluation]] = MappingProxyType(
    {
        axis.key: axis
        for axis in (
            Axis[Evaluation]("steps", "steps T", lambda e: float(e.steps), cost=False),
            Axis[Evaluation](
                "calls", "network calls per sequence", lambda e: e.results.calls.per_sample.value, cost=True
            ),
            Axis[Evaluation](
                "seconds", "seconds per sequence", lambda e: e.results.timing.seconds_per_sequence, cost=True
            ),
        )
    }
)


def panels(group: Group, axis: Axis[Evaluation]) -> tuple[Panel, ...]:
    """Return a panel for each quality that any evaluation has and that has more than one position on the axis."""
    return panels_of(group.series, axis, quantities())


def panels_of(series: Sequence[Series[E]], axis: Axis[E], quantities: Iterable[Quantity[E]]) -> tuple[Panel, ...]:
    """Return a panel for each quantity that any evaluation has and that has more than one position on the axis."""
    made = (Panel(quantity, axis, _lines(series, quantity, axis)) for quantity in quantities)
    return tuple(panel for panel in made if len({dot.x for line in panel.lines for dot in line.dots}) > 1)


def _lines(series: Iterable[Series[E]], quantity: Quantity[E], axis: Axis[E]) -> tuple[PlotLine, ...]:
    lines = []
    for number, one in enumerate(series):
        dots = [_dot(point, quantity, axis) for point in one.points]
        # a logarithmic axis has no zero
        shown = [dot for dot in dots if dot is not None and dot.x > 0]
        if shown:
            lines.append(PlotLine(one.name, number, tuple(shown)))
    if not axis.cost or quantity.better is None:
        return tuple(lines)
    best = front([(dot.x, dot.y.value) for line in lines for dot in line.dots], quantity.better)
    return tuple(
        replace(line, dots=tuple(replace(dot, front=(dot.x, dot.y.value) in best) for dot in line.dots))
        for line in lines
    )


def _dot(point: Point[E], quantity: Quantity[E], axis: Axis[E]) -> Dot | None:
    measured = [(axis.of(e), value) for e in point.evaluations if (value := quantity.of(e)) is not None]
    if not measured:
        return None
    return Dot(point.steps, mean([x for x, _ in measured]), combined([value for _, value in measured]))


def combined(values: Sequence[Value]) -> Value:
    """Return the value of one seed with its bounds, or the mean of several between the smallest and the largest."""
    if len(values) == 1:
        return values[0]
    numbers = [v.value for v in values]
    return Value(mean(numbers), min(numbers), max(numbers))


def mean(numbers: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return sum(numbers) / len(numbers)


def front(points: Iterable[tuple[float, float]], better: Literal["lower", "higher"]) -> set[tuple[float, float]]:
    """Return the (cost, quality) pairs that no other pair dominates."""
    sign = 1 if better == "lower" else -1
    best: set[tuple[float, float]] = set()
    lowest: float | None = None
    for cost, quality in sorted(points, key=lambda point: (point[0], sign * point[1])):
        if lowest is None or sign * quality < lowest:
            lowest = sign * quality
            best.add((cost, quality))
    return best
