"""Draws a panel in characters: lines of braille dots, and a letter at every setting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.style import Style
from rich.text import Text

from remdm_tui.render.plot import DOTS, characters
from remdm_tui.reports.looks import SeriesStyle
from remdm_tui.reports.panels import Panel, PlotLine
from remdm_tui.reports.scales import Scale, scale, ticks

HEIGHT = 12
"""Lines of the plotting area."""
NARROWEST = 38
"""Cells of a panel, at least."""
COLLISION = "*"
"""Marks a cell with settings of several series."""
FRONT = Style(bold=True, reverse=True)


def draw_panel(panel: Panel, looks: Sequence[SeriesStyle], width: int, ascii_only: bool = False) -> Text:
    """Return the panel with its title and axes: HEIGHT + 4 lines of `width` cells."""
    dots = [dot for line in panel.lines for dot in line.dots]
    across = scale([dot.x for dot in dots], logarithmic=True)
    upwards = scale([dot.y.value for dot in dots], panel.logarithmic)
    labels = {HEIGHT - 1 - _cell(upwards(v), HEIGHT): f"{v:g}" for v in ticks(upwards, 5)}
    gutter = max(map(len, labels.values()), default=1)
    rows = _field(panel, looks, width - gutter - 2, across, upwards, ascii_only)
    bar, tick = ("|", "+") if ascii_only else ("│", "┤")
    lines = [Text(f" {panel.quantity.title}", style="bold")]
    for number, row in enumerate(rows):
        label = labels.get(number, "")
        lines.append(Text.assemble(f"{label:>{gutter}} {tick if label else bar}", row))
    lines += [Text(" " * (gutter + 1) + line) for line in _below(panel, across, width - gutter - 2, ascii_only)]
    for line in lines:
        line.truncate(width, pad=True)
    return Text("\n").join(lines)


def _field(
    panel: Panel, looks: Sequence[SeriesStyle], width: int, across: Scale, upwards: Scale, ascii_only: bool
) -> list[Text]:
    cells = [[" "] * width for _ in range(HEIGHT)]
    owner = np.full((HEIGHT, width), -1)
    layers = [segments(line, width, across, upwards) for line in panel.lines]
    for line, bits in zip(panel.lines, layers, strict=True):
        owner[bits != 0] = line.number
    bits = np.bitwise_or.reduce(layers)
    for y, row in enumerate(characters(bits)):
        cells[y] = ["." if c != " " else c for c in row] if ascii_only else list(row)
    marked: dict[tuple[int, int], tuple[int, bool]] = {}
    for line in panel.lines:
        for dot in line.dots:
            position = HEIGHT - 1 - _cell(upwards(dot.y.value), HEIGHT), _cell(across(dot.x), width)
            shared = position in marked and marked[position][0] != line.number
            front = dot.front or (position in marked and marked[position][1])
            cells[position[0]][position[1]] = COLLISION if shared else looks[line.number].letter
            marked[position] = line.number, front
    return [_styled(y, cells[y], owner[y], marked, looks) for y in range(HEIGHT)]


def _styled(
    y: int, cells: Sequence[str], owner: NDArray[np.int_], marked: dict[tuple[int, int], tuple[int, bool]],
    looks: Sequence[SeriesStyle],
) -> Text:  # fmt: skip
    text = Text()
    for x, character in enumerate(cells):
        number, front = marked.get((y, x), (int(owner[x]), False))
        style = Style(color=looks[number].middle) if number >= 0 else Style()
        text.append(character, style + FRONT if front else style + Style(bold=(y, x) in marked))
    return text


def segments(line: PlotLine, width: int, across: Scale, upwards: Scale) -> NDArray[np.int32]:
    """Return the braille bits [HEIGHT, width] of the straight lines between the settings of a series."""
    bits = np.zeros((HEIGHT, width), dtype=np.int32)
    xs = np.array([across(dot.x) for dot in line.dots]) * (2 * width - 1)
    ys = (1 - np.array([upwards(dot.y.value) for dot in line.dots])) * (4 * HEIGHT - 1)
    for x0, y0, x1, y1 in zip(xs, ys, xs[1:], ys[1:]):
        count = int(max(abs(x1 - x0), abs(y1 - y0))) + 2
        x = np.linspace(x0, x1, count).round().astype(int)
        y = np.linspace(y0, y1, count).round().astype(int)
        np.bitwise_or.at(bits, (y // 4, x // 2), DOTS[y % 4, x % 2])
    return bits


def _cell(fraction: float, cells: int) -> int:
    return min(max(int(fraction * cells), 0), cells - 1)


def _below(panel: Panel, across: Scale, room: int, ascii_only: bool) -> tuple[str, str, str]:
    """Return the axis, the numbers below it, and its title."""
    chosen = sorted({dot.x for line in panel.lines for dot in line.dots})
    values = ticks(across, 6) if panel.axis.cost else chosen
    corner, dash, tick = "+-+" if ascii_only else "└─┬"
    axis, numbers = [dash] * room, [" "] * room
    free = 0
    for value in values:
        column, label = _cell(across(value), room), f"{value:g}"
        start = min(max(column - len(label) // 2, 0), room - len(label))
        if start >= free:
            axis[column] = tick
            numbers[start : start + len(label)] = label
            free = start + len(label) + 1
    return corner + "".join(axis), " " + "".join(numbers), " " + panel.axis.title.center(room)


def legend_line(names: Sequence[str], looks: Sequence[SeriesStyle]) -> Text:
    """Return a line with letter and name for each series."""
    lines = [
        Text.assemble("  ", (look.letter, Style(color=look.middle, bold=True)), f"  {name}")
        for name, look in zip(names, looks, strict=True)
    ]
    return Text("\n").join(lines)


def side_by_side(width: int, count: int) -> int:
    """Return how many panels fit side by side."""
    return max(1, min(count, width // NARROWEST))
