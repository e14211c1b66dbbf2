"""What a report shows of evaluations on tasks: their metrics, and the figures of ANSWER_FIGURES."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from engine.evaluation.results import Figure
from engine.tasks.results import TaskFigure
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.numbers import calls, decimals, significant
from remdm_tui.reports.panels import Axis, Quantity, Value
from remdm_tui.reports.records import TaskEvaluation, TaskGroup

Name = tuple[str, str, str]
"""Task, filter and metric."""
SEVERAL = 3
"""Filters from which on a metric has a table of its own, with a column for each of them."""


@dataclass(frozen=True)
class AnswerFigure:
    """A figure of all answers of an evaluation."""

    quantity: Quantity[TaskEvaluation]
    core: bool = False
    """whether it is in narrow tables"""
    drawn: bool = False
    """whether it has a plot of its own"""


def _value(found: Figure | None) -> Value | None:
    return None if found is None else Value(found.value, found.low, found.high)


def _per_second(one: TaskEvaluation) -> Value | None:
    seconds = one.results.timing.seconds_per_sequence
    return Value(1 / seconds) if seconds else None


def _figure(
    key: str, title: str, better: Literal["lower", "higher"] | None, of: Callable[[TaskEvaluation], Value | None],
    form: Callable[[float], str], core: bool = False, drawn: bool = False,
) -> AnswerFigure:  # fmt: skip
    return AnswerFigure(Quantity(key, title, better, of, form), core, drawn)


ANSWER_FIGURES: MappingProxyType[str, AnswerFigure] = MappingProxyType(
    {
        figure.quantity.key: figure
        for figure in (
            _figure("right", "right at the end", "higher", lambda e: _value(e.results.right), decimals(3), True, True),
            _figure("ever_right", "ever right", "higher", lambda e: _value(e.results.ever_right), decimals(3), True),
            _figure("overwritten", "overwritten", "lower",
                    lambda e: Value(len(e.results.overwritten)) if e.results.right else None, decimals(0), True),
            # a cost is shown without its interval, which is in results.json
            _figure("calls", "calls", "lower", lambda e: Value(e.results.network_calls.value), calls, True),
            _figure("tokens_per_call", "tokens/call", "higher", lambda e: _value(e.results.tokens_per_call),
                    decimals(2)),
            _figure("tokens_per_second", "tokens/s", "higher",
                    lambda e: Value(e.results.timing.tokens_per_second), significant),
            _figure("items_per_second", "items/s", "higher", _per_second, significant),
            _figure("length", "length", None, lambda e: _value(e.results.length), decimals(1)),
            _figure("entropy", "entropy", None, lambda e: _value(e.results.entropy), decimals(3)),
            _figure("ends", "end of text", None, lambda e: _value(e.results.ends), lambda x: f"{x:.1%}"),
            _figure("problems", "unanswered", "lower",
                    lambda e: Value(len(e.results.problems)) if e.results.problems else None, decimals(0), True),
        )
    }
)  # fmt: skip
"""By name.  A new figure is one line here: tables, and plots if it is drawn, follow."""

TASK_AXES: MappingProxyType[str, Axis[TaskEvaluation]] = MappingProxyType(
    {
        axis.key: axis
        for axis in (
            Axis[TaskEvaluation]("steps", "steps T", lambda e: float(e.steps), cost=False),
            Axis[TaskEvaluation]("calls", "network calls per item", lambda e: e.results.network_calls.value, cost=True),
            Axis[TaskEvaluation](
                "seconds", "seconds per item", lambda e: e.results.timing.seconds_per_sequence, cost=True
            ),
        )
    }
)


def metric_quantities(group: TaskGroup) -> Iterator[Quantity[TaskEvaluation]]:
    """Yield the metrics of all tasks, by their names where these alone tell them apart."""
    found = {_name(f): f for one in group.evaluations for f in one.results.figures}
    for name, figure in found.items():
        yield Quantity("-".join(name), _title(name, list(found)), figure.better, partial(_metric, name), decimals(3))  # type: ignore[arg-type]


def single_quantities(group: TaskGroup) -> list[Quantity[TaskEvaluation]]:
    """Return the metrics that have no table of their own."""
    tabled = {quantity.key for found in filtered_quantities(group).values() for quantity in found.values()}
    return [quantity for quantity in metric_quantities(group) if quantity.key not in tabled]


def filtered_quantities(group: TaskGroup) -> dict[tuple[str, str], dict[str, Quantity[TaskEvaluation]]]:
    """Return the metrics behind SEVERAL filters or more: by task and metric, then by filter."""
    found: dict[tuple[str, str], dict[str, Quantity[TaskEvaluation]]] = {}
    names = dict.fromkeys(_name(f) for one in group.evaluations for f in one.results.figures)
    for (task, how, metric), quantity in zip(names, metric_quantities(group), strict=True):
        found.setdefault((task, metric), {})[how] = quantity
    return {name: filters for name, filters in found.items() if len(filters) >= SEVERAL}


def drawn_quantities(group: TaskGroup) -> list[Quantity[TaskEvaluation]]:
    """Return what is drawn: metrics, and how often answers were right at the end where that is another figure.

    Of the metrics of a task that have tables of their own, the first alone is drawn.
    """
    firsts: dict[str, list[Quantity[TaskEvaluation]]] = {}
    for (task, _), filters in filtered_quantities(group).items():
        firsts.setdefault(task, list(filters.values()))
    metrics = single_quantities(group) + [quantity for found in firsts.values() for quantity in found]
    values = [tuple(quantity.of(one) for one in group.evaluations) for quantity in metrics]
    more = [one.quantity for one in ANSWER_FIGURES.values() if one.drawn]
    return metrics + [each for each in more if tuple(map(each.of, group.evaluations)) not in values]


def _name(figure: TaskFigure) -> Name:
    return figure.task, figure.filter, figure.metric


def _title(name: Name, names: Sequence[Name]) -> str:
    task, how, metric = name
    words = [task] if len({each[0] for each in names}) > 1 else []
    words.append(metric)
    if len({each[1] for each in names if (each[0], each[2]) == (task, metric)}) > 1:
        words.append(f"({how})")
    return sanitize(" ".join(words), cells=True)


def _metric(name: Name, one: TaskEvaluation) -> Value | None:
    return next((_value(figure.figure) for figure in one.results.figures if _name(figure) == name), None)
