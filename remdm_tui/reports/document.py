"""What every file of a report holds, in its order, as plain data that Markdown, LaTeX and HTML only spell."""

from __future__ import annotations

from dataclasses import dataclass

from remdm_tui.reports.collect import Collection, Group, apart
from remdm_tui.reports.looks import Look, looks
from remdm_tui.reports.panels import AXES, Axis, Panel, panels
from remdm_tui.reports.tables import Table, detail, facts, overview, reading, warnings


@dataclass(frozen=True)
class Plot:
    """The panels against one axis; `name` is that of its files, without a suffix."""

    name: str
    axis: Axis
    panels: tuple[Panel, ...]
    caption: str


@dataclass(frozen=True, eq=False)
class Section:
    """One group of comparable evaluations."""

    title: str
    group: Group
    looks: tuple[Look, ...]
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    overview: tuple[Table, ...]
    details: tuple[Table, ...]
    plots: tuple[Plot, ...]
    reading: tuple[str, ...]
    conventions: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(series.name for series in self.group.series)


@dataclass(frozen=True, eq=False)
class Document:
    title: str
    remarks: tuple[str, ...]
    """what was left out, and why sections stand apart"""
    sections: tuple[Section, ...]


def document(collection: Collection) -> Document:
    groups = collection.groups
    remarks = (*filter(None, [apart(groups)]), *collection.remarks)
    sections = tuple(_section(group, number, len(groups)) for number, group in enumerate(groups, 1))
    return Document("Evaluation report", remarks, sections)


def _section(group: Group, number: int, of: int) -> Section:
    title = "Results" if of == 1 else f"Results, part {number} of {of}"
    name = "report" if of == 1 else f"report-{number}"
    found = ((axis, panels(group, axis)) for axis in AXES.values())
    plots = tuple(Plot(f"{name}-{a.key}", a, drawn, caption(a, drawn)) for a, drawn in found if drawn)
    return Section(
        title, group, looks(len(group.series)), facts(group), warnings(group), overview(group),
        tuple(detail(series, group) for series in group.series), plots, reading(group), group.terms.sentences,
    )  # fmt: skip


def caption(axis: Axis, drawn: tuple[Panel, ...]) -> str:
    """Of a plot: what is drawn against what."""
    listed = ", ".join(panel.quantity.title for panel in drawn)
    told = f"{listed[0].upper()}{listed[1:]} against {axis.title}, which is on a logarithmic scale."
    if any(dot.front for panel in drawn for line in panel.lines for dot in line.dots):
        told += " A ring and the grey line mark the Pareto front."
    return told
