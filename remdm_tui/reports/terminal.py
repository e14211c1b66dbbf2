"""Prints a report by Rich: tables, plots and sentences, with or without colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.canvas import COLLISION, draw_panel, legend_line, side_by_side
from remdm_tui.reports.document import Plot, ReportDocument, Section
from remdm_tui.reports.table import Cell, Table

WIDEST = 1000
"""Columns, more than any terminal has."""


def show_report(report: ReportDocument, console: Console, axes: Sequence[str] = ("steps",)) -> None:
    """Print everything but samples and items.  axes: the keys of those that the plots are drawn against."""
    for sentence in report.remarks:
        print_sentence(console, sentence, warning=True)
    for section in report.sections:
        _section(console, section, axes)


def print_sentence(console: Console, sentence: str, warning: bool = False) -> None:
    """Print a sentence; a warning has a mark that is visible without colour."""
    shown = as_shown(sentence, is_ascii(console))
    text = Text.assemble(("! ", "bold yellow"), shown) if warning else Text(shown)
    console.print(text, highlight=False)


def _section(console: Console, section: Section, axes: Sequence[str]) -> None:
    ascii_only = is_ascii(console)
    console.print(_facts(section, ascii_only))
    for sentence in section.warnings:
        print_sentence(console, sentence, warning=True)
    for table in (*section.overview, *section.details):
        _table(table, console)
    for name in axes:
        for plot in section.plots:
            if plot.axis.key == name:
                _plot(console, plot, section)
    for table in section.lists:
        _table(table, console)
    for sentence in section.reading:
        print_sentence(console, sentence)
    if section.conventions_title:
        console.print(Text(f"\n{as_shown(section.conventions_title, ascii_only)}", style="bold"))
    for sentence in section.conventions:
        console.print(Padding(Text(f"- {as_shown(sentence, ascii_only)}"), (0, 0, 0, 1)), highlight=False)
    if section.lint is not None:
        _lint(console, section.lint)


def _lint(console: Console, table: Table) -> None:
    """Print the findings as sentences, which wrap better than cells."""
    ascii_only = is_ascii(console)
    console.print(Text(f"\n{table.title}: {as_shown(table.note, ascii_only)}", style="bold"), highlight=False)
    for row in table.rows:
        check, where, figure, threshold, finding, advice = (cell.text for cell in row)
        print_sentence(console, f"{check} ({figure}; threshold {threshold}), {where}: {finding}.", warning=True)
        console.print(Padding(Text(as_shown(advice, ascii_only)), (0, 0, 0, 2)), highlight=False)


def _facts(section: Section, ascii_only: bool) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in section.facts:
        grid.add_row(Text(as_shown(name, ascii_only)), Text(as_shown(value, ascii_only)))
    return grid


def _table(table: Table, console: Console) -> None:
    """Print every column if all fit without breaking a line, else the core ones."""
    ascii_only = is_ascii(console)
    title, note = as_shown(table.title, ascii_only), as_shown(table.note, ascii_only)
    console.print(Text.assemble("\n", (title, "bold"), (f"\n{note}" if note else "", "dim")))
    grid = _grid(table, ascii_only)
    fits = Measurement.get(console, console.options.update(max_width=WIDEST), grid).maximum <= console.width
    console.print(grid if fits else _grid(table.core(), ascii_only))


def _grid(table: Table, ascii_only: bool) -> Grid:
    # one cell of padding, so that a setting fits in one line of 80 columns
    lines = box.ASCII_DOUBLE_HEAD if ascii_only else box.SIMPLE_HEAD
    grid = Grid(padding=(0, 1, 0, 0), box=lines, show_edge=False)
    for column in table.columns:
        grid.add_column(Text(column.title), justify="left" if column.textual else "right", overflow="fold")
    for row in table.rows:
        grid.add_row(*(_cell(cell, ascii_only) for cell in row))
    return grid


def _cell(cell: Cell, ascii_only: bool) -> Text:
    # without a space inside, an interval that does not fit goes to a line of its own
    spread = as_shown(cell.spread.replace(", ", "–"), ascii_only)
    return Text.assemble(as_shown(cell.text, ascii_only), (f" {spread}" if spread else "", "dim"))


def as_shown(text: str, ascii_only: bool) -> str:
    """Return the text as the terminal can show it."""
    return sanitize(text.replace("±", "+-"), cells=True, ascii_only=True) if ascii_only else text


def _plot(console: Console, plot: Plot, section: Section) -> None:
    drawn_panels, style = plot.panels, section.looks
    across = side_by_side(console.width, len(drawn_panels))
    width = min(console.width // across - 1, 64)
    pictures = [draw_panel(panel, style, width, is_ascii(console)) for panel in drawn_panels]
    grid = Grid.grid(padding=(1, 1, 0, 0))
    for start in range(0, len(drawn_panels), across):
        grid.add_row(*pictures[start : start + across])
    console.print(grid)
    names = [as_shown(name, is_ascii(console)) for name in section.names]
    console.print(legend_line(names, style), highlight=False)
    if any(COLLISION in picture.plain for picture in pictures):
        console.print(Text(f"  {COLLISION}  several series in one place"), highlight=False)
    for panel in drawn_panels:
        best = [(dot.x, f"{line.name} T={dot.steps}") for line in panel.lines for dot in line.dots if dot.front]
        if best:
            listed = "; ".join(name for _, name in sorted(best))
            print_sentence(
                console, f"Pareto front of {panel.quantity.title} against {plot.axis.title}, set off above: {listed}."
            )
    console.print()


def is_ascii(console: Console) -> bool:
    """Return whether the console can only write ASCII."""
    return not console.encoding.lower().startswith("utf")
