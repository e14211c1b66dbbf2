"""The content of a report in its order, as plain data for the Markdown, LaTeX and HTML templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from remdm_tui.reports.collect import why_not_one_plot
from remdm_tui.reports.looks import SeriesStyle, looks
from remdm_tui.reports.panels import AXES, Axis, Panel, panels
from remdm_tui.reports.records import Collection, Group
from remdm_tui.reports.tables import Table, detail, facts, overview, reading_guide, warnings


@dataclass(frozen=True)
class Plot:
    """The panels against one axis; `name` is that of the files, without a suffix."""

    name: str
    axis: Axis
    panels: tuple[Panel, ...]
    caption: str


@dataclass(frozen=True, eq=False)
class Section:
    """One group of comparable evaluations."""

    title: str
    group: Group
    looks: tuple[SeriesStyle, ...]
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    overview: tuple[Table, ...]
    details: tuple[Table, ...]
    plots: tuple[Plot, ...]
    reading: tuple[str, ...]
    conventions: tuple[str, ...]
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
    """Return the report of everything that was found.  lint: the findings of each group; empty: not linted."""
    groups = collection.groups
    remarks = (*filter(None, [why_not_one_plot(groups)]), *collection.remarks)
    sections = tuple(
        replace(_section(group, number, len(groups)), lint=lint[number - 1] if lint else None)
        for number, group in enumerate(groups, 1)
    )
    return ReportDocument("Evaluation report", remarks, sections)


def _section(group: Group, number: int, of: int) -> Section:
    title = "Results" if of == 1 else f"Results, part {number} of {of}"
    name = "report" if of == 1 else f"report-{number}"
    found = ((axis, panels(group, axis)) for axis in AXES.values())
    plots = tuple(Plot(f"{name}-{a.key}", a, drawn, caption(a, drawn)) for a, drawn in found if drawn)
    return Section(
        title, group, looks(len(group.series)), facts(group), warnings(group), overview(group),
        tuple(detail(series, group) for series in group.series), plots, reading_guide(group), group.terms.sentences,
    )  # fmt: skip


def caption(axis: Axis, drawn: tuple[Panel, ...]) -> str:
    """Return what a plot shows, in a sentence or two."""
    listed = ", ".join(panel.quantity.title for panel in drawn)
    text = f"{listed[0].upper()}{listed[1:]} against {axis.title}, which is on a logarithmic scale."
    if any(dot.front for panel in drawn for line in panel.lines for dot in line.dots):
        text += " A ring and the grey line mark the Pareto front."
    return text
