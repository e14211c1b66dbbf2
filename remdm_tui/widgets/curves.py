"""Curves over the whole run: masked fraction against 1 - alpha, remasks, network calls, confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual.widgets import Static

from remdm_tui.braille import ascii_rows, characters, dots

Curve = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chart:
    """One or two curves on a common scale; `top` is the value at the upper edge."""

    label: str
    values: Curve
    top: float
    reference: Curve | None = None
    value: str = ""
    band: tuple[Curve, Curve] | None = None
    """between which the curve would be by chance"""


class CurvesPanel(Static):
    """Charts below one another, as many as there is room for."""

    DEFAULT_CSS = "CurvesPanel { height: 1fr; }"
    ROWS = 3
    """character rows of one chart, its label excepted"""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only

    def show(self, charts: Sequence[Chart], total: int, position: int) -> None:
        """Draw the charts over `total` steps, with a line at `position`."""
        width = self.size.width
        if width < 8 or self.size.height < 2:
            return
        room = max(1, self.size.height // (self.ROWS + 1))
        charts = charts[:room]
        rows = max(1, self.size.height // len(charts) - 1)
        text = Text(no_wrap=True)
        for number, chart in enumerate(charts):
            if number:
                text.append("\n")
            text.append_text(self._chart(chart, total, position, width, rows))
        self.update(text, layout=False)

    def _chart(self, chart: Chart, total: int, position: int, width: int, rows: int) -> Text:
        text = Text(no_wrap=True)
        text.append(f"{chart.label}{chart.value:>{max(1, width - len(chart.label))}}"[:width], style="bold")
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
        for y, line in enumerate(lines):
            if not (curve[y, mark] or reference[y, mark]):
                line = line[:mark] + ("|" if self._ascii else "│") + line[mark + 1 :]
            row = Text("\n" + line)
            # the reference alone is dim; where both meet the curve wins
            for x in np.flatnonzero((reference[y] != 0) & (curve[y] == 0)):
                row.stylize("dim", int(x) + 1, int(x) + 2)
            row.stylize("bold" if curve[y, mark] else "dim", mark + 1, mark + 2)
            text.append_text(row)
        return text
