"""Curves over the whole run: masked fraction against 1 - alpha, remasks, network calls, confidence.

Those of several branches are laid over one another, each with its letter along it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.style import Style
from textual import events
from textual.message import Message

from remdm_tui.render.panels import Chart, Overlay
from remdm_tui.render.plot import ascii_rows, characters, dots
from remdm_tui.render.shorten import fit, shorten
from remdm_tui.widgets.text_rows import BOLD, DIM, PLAIN, StyledRow, TextRows, row_of

LINES = {True: ("#56b4e9", "#e69f00", "#00c08b", "#e08fc0"), False: ("#0068a8", "#9c5700", "#00724f", "#a0307c")}
"""Colours of the branches that are laid over one another, in dark themes and in light ones."""


class CurvesPanel(TextRows, can_focus=True):
    """As many stacked charts as fit; posts `StepPointed` on a click."""

    DEFAULT_CSS = "CurvesPanel { height: 1fr; }"
    ROWS = 3
    """character rows of one chart, its label excepted"""
    OVERLAID = 5
    """the same of a chart with the curves of several branches"""

    class StepPointed(Message):
        """A step was clicked."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    _total = 0
    """steps from left to right"""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._shown: tuple[Sequence[Chart | Overlay], int, int, Sequence[int]] | None = None
        self._headings: list[int] = []
        """the rows of the charts' headings"""

    def show(
        self, charts: Sequence[Chart | Overlay], total: int, position: int, changes: Sequence[int] = ()
    ) -> None:  # fmt: skip
        """Draw the charts over `total` steps, with a line at `position` and ticks where settings change."""
        self._shown = charts, total, position, changes
        width = self.size.width
        if width < 8 or self.size.height < 2:
            return
        self._total = total
        least = self.OVERLAID if isinstance(charts[0], Overlay) else self.ROWS
        room = max(1, self.size.height // (least + 1))
        charts = charts[:room]
        drawn: list[StyledRow] = []
        self._headings = []
        for chart, rows in zip(charts, chart_heights(self.size.height, len(charts)), strict=True):
            self._headings.append(len(drawn))
            drawn.append(self._heading(chart, width))
            if isinstance(chart, Overlay):
                drawn += self._overlay(chart, total, position, width, rows)
            else:
                drawn += self._chart(chart, total, position, width, rows, changes)
        self.write(drawn)

    def show_values(self, charts: Sequence[Chart | Overlay]) -> None:
        """Write the values of these charts over the curves that are drawn: they cost a small part of what curves do."""
        rows = list(self.rows)
        for y, chart in zip(self._headings, charts):
            rows[y] = self._heading(chart, self.size.width)
        self.write(rows)

    def _heading(self, chart: Chart | Overlay, width: int) -> StyledRow:
        if isinstance(chart, Chart):
            return ((heading(chart.label, chart.value, width, self._ascii), BOLD),)
        values = "".join(f" {letter} {value}" for (letter, _), value in zip(chart.curves, chart.values, strict=True))
        title = heading(chart.label, values, width, self._ascii)
        styles = [BOLD] * len(title)
        if not self._plain:
            for (letter, _), value, colour in zip(chart.curves, chart.values, self._colours):
                at, written = max(0, title.rfind(f"{letter} {value}")), len(f"{letter} {value}")
                styles[at : at + written] = [BOLD + colour] * len(styles[at : at + written])
        return row_of(title, styles)

    @property
    def _plain(self) -> bool:
        """Whether letters, not colours, tell the curves of several branches apart."""
        return self._ascii or self.app.no_color

    @property
    def _colours(self) -> list[Style]:
        return [Style(color=colour) for colour in LINES[self.app.current_theme.dark]]

    def _chart(
        self, chart: Chart, total: int, position: int, width: int, rows: int, changes: Sequence[int]
    ) -> list[StyledRow]:  # fmt: skip
        if chart.own:
            total, changes = len(chart.values), ()
        drawn: list[StyledRow] = []
        curve = dots(chart.values, total, chart.top, width, rows)
        reference = (
            np.zeros_like(curve) if chart.reference is None else dots(chart.reference, total, chart.top, width, rows)
        )
        edges = np.zeros_like(curve)
        for edge in chart.band or ():
            edges |= dots(edge, total, chart.top, width, rows)
        if self._ascii:
            lines = ascii_rows((edges, reference, curve), "-.*")
        else:
            lines = characters(curve | reference | edges)
        reference |= edges
        mark = min(width - 1, position * width // max(total, 1))
        ticks = {min(width - 1, step * width // max(total, 1)) for step in changes}
        for y, line in enumerate(lines):
            for x in ticks if y == 0 else ():
                if not (curve[y, x] or reference[y, x]):
                    line = line[:x] + ("v" if self._ascii else "▾") + line[x + 1 :]
            if not (chart.own or curve[y, mark] or reference[y, mark]):
                line = line[:mark] + ("|" if self._ascii else "│") + line[mark + 1 :]
            # the reference alone is dim; where both meet the curve wins
            styles = [DIM if alone else PLAIN for alone in ((reference[y] != 0) & (curve[y] == 0)).tolist()]
            if not chart.own:
                styles[mark] = BOLD if curve[y, mark] else DIM
            drawn.append(row_of(line, styles))
        return drawn

    def _overlay(self, chart: Overlay, total: int, position: int, width: int, rows: int) -> list[StyledRow]:
        """Draw all curves in one field, each in its colour; where curves coincide, colours take turns.

        Without colour their letters take turns along them.
        """
        plain, colours, drawn = self._plain, self._colours, list[StyledRow]()
        layers = [dots(values, total, chart.top, width, rows) for _, values in chart.curves]
        field = np.bitwise_or.reduce(layers)
        lines = ascii_rows([field], ".") if self._ascii else characters(field)
        cells = [layer != 0 for layer in layers]
        letters = letter_cells(cells) if plain else [np.zeros(field.shape, bool)] * len(layers)
        mark = min(width - 1, position * width // max(total, 1))
        for y, line in enumerate(lines):
            shown = list(line)
            if not field[y, mark]:
                shown[mark] = "|" if self._ascii else "│"
            styles = [PLAIN] * width
            for (letter, _), where in zip(chart.curves, letters, strict=True):
                for x in np.flatnonzero(where[y]).tolist():
                    shown[x], styles[x] = letter, BOLD
            for x in () if plain else np.flatnonzero(field[y]).tolist():
                here = [number for number, layer in enumerate(layers) if layer[y, x]]
                styles[x] = colours[here[x % len(here)]]
            drawn.append(row_of(shown, styles))
        return drawn

    def on_resize(self) -> None:
        # what opens above or below changes the height, and nothing else draws the charts again then
        if self._shown is not None:
            self.show(*self._shown)

    def on_click(self, event: events.Click) -> None:
        if self._total:
            self.post_message(self.StepPointed(round(event.x * self._total / max(1, self.size.width - 1))))


def chart_heights(height: int, count: int) -> list[int]:
    """Return the rows of each of `count` charts below its label: as equal as whole rows can be, and none left over."""
    each, over = divmod(height - count, count)
    return [max(1, each + (number < over)) for number in range(count)]


def heading(label: str, value: str, width: int, ascii_only: bool) -> str:
    """Return label and value in `width` cells; the label gives way to the numbers."""
    room = width - len(value.strip()) - 1
    if room < 1:
        return fit(value.strip(), width, ascii_only)
    label = shorten(label, room, ascii_only)
    return f"{label}{value.strip():>{width - len(label)}}"


SPACING = 3
"""Columns from one letter on the curves to the next, which is another curve's."""


def letter_cells(layers: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Return for each curve a bool [rows, columns]: the cells of its letter.

    Each has columns of its own, so that no curve hides another; its last cell is always marked, as far as that is free.
    """
    columns = np.arange(layers[0].shape[1])
    turn = columns // SPACING % len(layers)
    first = columns % SPACING == 0
    occupied = np.zeros_like(layers[0])
    found = []
    for number, layer in enumerate(layers):
        where = np.zeros_like(layer)
        for x in np.flatnonzero((turn == number) & first & layer.any(axis=0)):
            where[np.flatnonzero(layer[:, x])[0], x] = True
        occupied |= where
        found.append(where)
    for number, layer in enumerate(layers):
        xs = np.flatnonzero(layer.any(axis=0))
        if len(xs):
            y, x = np.flatnonzero(layer[:, xs[-1]])[-1], xs[-1]
            if not occupied[y, x]:
                found[number][y, x] = occupied[y, x] = True
    return found
