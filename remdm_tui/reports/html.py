"""A report as one HTML file that loads nothing and runs no script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from markupsafe import Markup

from engine.text.counts import counted
from remdm_tui.reports import templates
from remdm_tui.reports.document import Plot, ReportDocument, Section
from remdm_tui.reports.examples import Examples, examples
from remdm_tui.reports.looks import DARK, LIGHT
from remdm_tui.reports.maps import maps
from remdm_tui.reports.page_svg import element
from remdm_tui.reports.plots import NoPlots, legend_svg, panel_svg

SHOWN = 20
"""Samples of a setting in the page, by default."""
MOST_SAMPLES = 2000
"""Samples or items in the page at most; with many settings each shows fewer, at least one.

With examples.LONGEST this bounds its size to tens of megabytes.
"""


@dataclass(frozen=True)
class ShownPlot:
    """A plot as elements of the page."""

    panels: tuple[Markup, ...]
    key: Markup
    caption: str


@dataclass(frozen=True)
class ShownMap:
    """The map of a recorded sample, or why it is missing."""

    title: str
    picture: Markup
    problem: str


@dataclass(frozen=True, eq=False)
class ShownSection:
    """A section with its plots and samples or items."""

    number: int
    section: Section
    plots: tuple[ShownPlot, ...]
    maps: tuple[ShownMap, ...]
    examples: Examples


def render(document: ReportDocument, samples: int = SHOWN) -> str:
    """Return the page. samples: of each setting, 0 or more."""
    every = sum(len(section.group.evaluations) for section in document.sections)
    count = min(samples, max(1, MOST_SAMPLES // every))
    no_plots, sections = "One setting alone is not plotted.", []
    for number, section in enumerate(document.sections, 1):
        try:
            plots = tuple(_plot(plot, section, number) for plot in section.plots)
        except NoPlots as error:
            plots, no_plots = (), f"No plots: {error}."
        shown = ShownSection(number, section, plots, tuple(_maps(section, number)), examples(section.group, count))
        sections.append(shown)
    style = stylesheet()
    return templates.render(
        "html", document=document, sections=sections, style=Markup(style),
        style_hash=Markup(style_hash(style)), pictures=any(section.maps for section in sections),
        heading=_heading(document, every), no_plots=no_plots,
    )  # fmt: skip


def _heading(document: ReportDocument, every: int) -> str:
    names = list(dict.fromkeys(name for section in document.sections for name in section.names))
    listed = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"{counted(every, 'evaluation')} of {listed}"


def stylesheet() -> str:
    """Return the rules of the page; a dark scheme replaces the colours of the plots."""
    swaps = "".join(
        f'[{name}="{light}"] {{ {name}: {dark}; }}\n'
        for light, dark in zip(LIGHT, DARK, strict=True)
        for name in ("fill", "stroke")
    )
    rules = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return f"\n{rules}@media (prefers-color-scheme: dark) {{\n{swaps}}}\n"


def style_hash(style: str) -> str:
    """Return the source expression that allows exactly this style element."""
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _plot(plot: Plot, section: Section, number: int) -> ShownPlot:
    prefix = f"s{number}-{plot.axis.key}"
    panels = []
    for panel in plot.panels:
        label = f"{panel.quantity.title} against {panel.axis.title} for {', '.join(section.names)}"
        svg = panel_svg(panel, section.looks, section.names)
        panels.append(Markup(element(svg, f"{prefix}-{panel.quantity.key}", label)))
    legend = element(
        legend_svg(plot.panels, section.looks, section.names), f"{prefix}-key", "How each series is drawn", sized=True
    )
    return ShownPlot(tuple(panels), Markup(legend), plot.caption)


def _maps(section: Section, number: int) -> Iterator[ShownMap]:
    for i, one in enumerate(maps(section.group.series), 1):
        picture = element(one.svg, f"s{number}-map{i}", f"map of {one.title}") if one.svg else ""
        yield ShownMap(one.title, Markup(picture), one.problem)
