"""`report`: evaluations as tables and plots, in the terminal and as files."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from engine.files.atomic import probe, replace, tidy
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports import html, latex, markdown
from remdm_tui.reports.collect import collect
from remdm_tui.reports.document import ReportDocument, document
from remdm_tui.reports.html import SHOWN
from remdm_tui.reports.lint import lint_table
from remdm_tui.reports.panels import AXES
from remdm_tui.reports.plots import NoPlots, pictures
from remdm_tui.reports.terminal import print_sentence, show_report

PIPE = 140
"""Columns without a terminal and COLUMNS."""


def run(
    dirs: Sequence[Path],
    out: Path | None = None,
    *,
    conventions: str | None = None,
    by: Sequence[str] = (),
    samples: int = SHOWN,
    console: Console | None = None,
) -> None:
    """Print the evaluations at or below `dirs`, and write report.html, .md, .tex and the plots as PNG and SVG.

    out: the directory of the files, created if it is missing; None: the only directory, or the common parent.
    conventions: the ones whose figures are shown; None: the primary ones of each evaluation.  by: names of AXES that
    the terminal's plots are drawn against; files have all.  samples: samples or items of each setting in the page.
    Raises ValueError, and OSError for a directory that is not writable.
    """
    unknown = [name for name in by if name not in AXES]
    if unknown:
        raise ValueError(f"plots are drawn by {', '.join(AXES)}, not by {', '.join(unknown)}")
    if samples < 0:
        raise ValueError(f"samples must be 0 or more, not {samples}")
    collection = collect(dirs, conventions)
    place = out or shared_directory(dirs)
    check_writable(place)
    console = console or _console()
    report = document(collection, [lint_table(group) for group in collection.groups])
    several = any(len(series.points) > 1 for section in report.sections for series in section.group.series)
    show_report(report, console, tuple(dict.fromkeys(by)) or ("steps" if several else "calls",))
    written, missing = write_report(report, place, samples)
    if missing:
        print_sentence(console, f"No PNG, SVG or plots in the page: {missing}", warning=True)
    console.print()
    for path in written:
        console.print(sanitize(str(path)), highlight=False, markup=False, soft_wrap=True)


def _console() -> Console:
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return SafeConsole()
    return SafeConsole(width=PIPE)


def shared_directory(dirs: Sequence[Path]) -> Path:
    """Return the only directory, or the innermost one that contains all."""
    if len(dirs) == 1:
        return dirs[0]
    return Path(os.path.commonpath([path.resolve() for path in dirs]))


def check_writable(place: Path) -> None:
    """Raise OSError if no file can be created in the directory."""
    probe(place)


def write_report(report: ReportDocument, place: Path, samples: int = SHOWN) -> tuple[list[Path], str]:
    """Write the files; return their paths, and why there are no pictures, or "". Raises OSError."""
    missing = ""
    plots: dict[str, bytes] = {}
    try:
        for section in report.sections:
            for plot in section.plots:
                for kind, data in pictures(plot.panels, section.looks, section.names).items():
                    plots[f"{plot.name}.{kind}"] = data
    except NoPlots as error:
        missing = str(error)
    contents = {
        "report.html": html.render(report, samples).encode(),
        "report.md": markdown.render(report, pictures=bool(plots)).encode(),
        "report.tex": latex.render(report).encode(),
        **plots,
    }
    tidy(place, map(glob.escape, contents))
    for name, data in contents.items():
        replace(place / name, data)
    return [place / name for name in contents], missing
