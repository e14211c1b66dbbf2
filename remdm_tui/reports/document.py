"""The content of a report in its order, as plain data for the Markdown, LaTeX and HTML templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from remdm_tui.reports.collect import why_not_one_plot
from remdm_tui.reports.looks import SeriesStyle, looks
from remdm_tui.reports.panels import AXES, Axis, Panel, panels
from remdm_tui.reports.records import Collection, Group, TaskGroup
from remdm_tui.reports.table import Table
from remdm_tui.reports.tables import detail, facts, overview, reading_guide, terms, warnings
from remdm_tui.reports.task_figures import TASK_AXES
from remdm_tui.reports.task_tables import (
    difference_table,
    filter_tables,
    overwritten_table,
    task_detail,
    task_facts,
    task_overview,
    task_panels,
    task_reading_guide,
    task_terms,
    task_warnings,
)


@dataclass(frozen=True)
class Plot:
    """The panels against one axis; `name` is that of the files, without a suffix."""

    name: str
    axis: Axis[Any]
    panels: tuple[Panel, ...]
    caption: str


@dataclass(frozen=True, eq=False)
class Section:
    """One group of comparable evaluations."""

    title: str
    group: Group | TaskGroup
    looks: tuple[SeriesStyle, ...]
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    overview: tuple[Table, ...]
    details: tuple[Table, ...]
    plots: tuple[Plot, ...]
    reading: tuple[str, ...]
    terms: str
    """what the figures must not be quoted without, for a caption"""
    conventions_title: str = ""
    conventions: tuple[str, ...] = ()
    lists: tuple[Table, ...] = ()
    """tables that are no figures"""
    lint: Table | None = None
    """None if nothing was linted"""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(series.name for series in self.group.series)


@dataclass(frozen=True, eq=False)
class ReportDocument:
    """A whole report."""

    title: str
    remarks: tuple[str, ...]
    """what was left out, and why there are several sections"""
    sections: tuple[Section, ...]


def document(collection: Collection, lint: Sequence[Table] = ()) -> ReportDocument:
    """Return the report of everything that was found.  lint: the findings of each group; empty: not linted.

    Raises ValueError for a file of answers that cannot be read.
    """
    groups, tasks = collection.groups, collection.tasks
    remarks = (*filter(None, [why_not_one_plot(groups), why_not_one_plot(tasks)]), *collection.remarks)
    of = len(groups) + len(tasks)
    sections = [
        replace(_section(group, number, of), lint=lint[number - 1] if lint else None)
        for number, group in enumerate(groups, 1)
    ]
    sections += [_task_section(group, number, of) for number, group in enumerate(tasks, 1 + len(groups))]
    return ReportDocument("Evaluation report", remarks, tuple(sections))


def _section(group: Group, number: int, of: int) -> Section:
    return Section(
        _title(number, of), group, looks(len(group.series)), facts(group), warnings(group), overview(group),
        tuple(detail(series, group) for series in group.series),
        _plots(number, of, ((axis, panels(group, axis)) for axis in AXES.values())),
        reading_guide(group), terms(group), f"Conventions {group.terms.conventions}", group.terms.sentences,
    )  # fmt: skip


def _task_section(group: TaskGroup, number: int, of: int) -> Section:
    details = [task_detail(series, group) for series in group.series]
    return Section(
        _title(number, of), group, looks(len(group.series)), task_facts(group), task_warnings(group),
        task_overview(group), (*filter_tables(group), *details, *filter(None, [difference_table(group)])),
        _plots(number, of, ((axis, task_panels(group, key)) for key, axis in TASK_AXES.items())),
        task_reading_guide(group), task_terms(group), lists=tuple(filter(None, [overwritten_table(group)])),
    )  # fmt: skip


def _title(number: int, of: int) -> str:
    return "Results" if of == 1 else f"Results, part {number} of {of}"


def _plots(number: int, of: int, found: Iterable[tuple[Axis[Any], tuple[Panel, ...]]]) -> tuple[Plot, ...]:
    name = "report" if of == 1 else f"report-{number}"
    return tuple(Plot(f"{name}-{axis.key}", axis, drawn, caption(axis, drawn)) for axis, drawn in found if drawn)


def caption(axis: Axis[Any], drawn: tuple[Panel, ...]) -> str:
    """Return what a plot shows, in a sentence or two."""
    listed = ", ".join(panel.quantity.title for panel in drawn)
    text = f"{listed[0].upper()}{listed[1:]} against {axis.title}, which is on a logarithmic scale."
    if any(dot.front for panel in drawn for line in panel.lines for dot in line.dots):
        text += " A ring and the grey line mark the Pareto front."
    return text
