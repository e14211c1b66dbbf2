"""`report`: evaluations as tables and plots, in the terminal and as files beside them."""

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
from remdm_tui.reports.document import Document, document
from remdm_tui.reports.html import SHOWN
from remdm_tui.reports.panels import AXES
from remdm_tui.reports.plots import NoPlots, pictures
from remdm_tui.reports.terminal import say, show

PIPE = 140
"""Columns where there is no terminal and COLUMNS says nothing."""


def run(
    dirs: Sequence[Path],
    out: Path | None = None,
    *,
    conventions: str | None = None,
    by: Sequence[str] = (),
    samples: int = SHOWN,
    console: Console | None = None,
) -> None:
    """Show what lies at or below `dirs` and write report.html, .md, .tex and the plots' PNG and SVG.

    out: their directory, made where it is missing; by default the directory itself, or of several the one that they
    have in common.  conventions: whose figures are shown, by default each evaluation's primary ones.  by: what the
    terminal's plots are drawn against, out of AXES; files have all.  samples: of each setting in the page.  Raises
    ValueError with one sentence, OSError for a directory that cannot be written to.
    """
    unknown = [name for name in by if name not in AXES]
    if unknown:
        raise ValueError(f"plots are drawn by {', '.join(AXES)}, not by {', '.join(unknown)}")
    if samples < 0:
        raise ValueError(f"samples must be 0 or more, not {samples}")
    collection = collect(dirs, conventions)
    place = out or shared(dirs)
    check_writable(place)
    console = console or _console()
    several = any(len(series.points) > 1 for group in collection.groups for series in group.series)
    show(collection, console, tuple(dict.fromkeys(by)) or ("steps" if several else "calls",))
    written, missing = write(document(collection), place, samples)
    if missing:
        say(console, f"No PNG, SVG or plots in the page: {missing}", warning=True)
    console.print()
    for path in written:
        console.print(sanitize(str(path)), highlight=False, markup=False, soft_wrap=True)


def _console() -> Console:
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return SafeConsole()
    return SafeConsole(width=PIPE)


def shared(dirs: Sequence[Path]) -> Path:
    """The one directory, or the innermost that holds all of them."""
    if len(dirs) == 1:
        return dirs[0]
    return Path(os.path.commonpath([path.resolve() for path in dirs]))


def check_writable(place: Path) -> None:
    """Raises OSError where no file can be made, before any work is done."""
    probe(place)


def write(made: Document, place: Path, samples: int = SHOWN) -> tuple[list[Path], str]:
    """The files, and in words why there are no pictures ("" where there are)."""
    missing = ""
    drawn: dict[str, bytes] = {}
    try:
        for section in made.sections:
            for plot in section.plots:
                for kind, data in pictures(plot.panels, section.looks, section.names).items():
                    drawn[f"{plot.name}.{kind}"] = data
    except NoPlots as error:
        missing = str(error)
    contents = {
        "report.html": html.render(made, samples).encode(),
        "report.md": markdown.render(made, pictures=bool(drawn)).encode(),
        "report.tex": latex.render(made).encode(),
        **drawn,
    }
    tidy(place, map(glob.escape, contents))
    for name, data in contents.items():
        replace(place / name, data)
    return [place / name for name in contents], missing
