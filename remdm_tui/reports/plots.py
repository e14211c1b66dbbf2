"""Draws panels by matplotlib: PNG and SVG files for papers, and SVG for a page."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from remdm_tui.reports.looks import SeriesStyle
from remdm_tui.reports.panels import Panel, PlotLine
from remdm_tui.reports.scales import scale, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation

WIDTH, HEIGHT = 4.4, 3.3
"""Inches of one panel."""
LEGEND_ROW = 0.2
"""Inches of a row of the legend after the first, for which the panels have room."""
DIRECT = 6
"""Series up to which each name is written at its line; with more there is only a legend."""
LONG = 26
"""Characters of a name at its line, at most."""
NAME_SIZE = 8.0
"""Points."""
RIBBON = "#b5b5b5"
"""Colour of the line that joins the settings on a Pareto front."""
MOST_TICKS = 7
DPI = 160
INK = "#010101"
"""Colour of text and axes; a page replaces it by its own."""


class NoPlots(ValueError):
    """matplotlib is not installed; the message says how to install it."""


def check_matplotlib() -> None:
    """Raise NoPlots if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise NoPlots("pictures of the plots need matplotlib: pip install 'remdm-tui[eval]'") from error


def pictures(
    panels: Sequence[Panel],
    looks: Sequence[SeriesStyle],
    names: Sequence[str],
    size: tuple[float, float] = (WIDTH, HEIGHT),
) -> dict[str, bytes]:  # fmt: skip
    """Return all panels side by side over one legend, as `png` and `svg`. Raises NoPlots.

    size: inches of a panel, across and down.
    """
    check_matplotlib()
    with _settings():
        from matplotlib.figure import Figure

        across, down = size[0] * len(panels), size[1]
        handles, labels = _handles(panels, looks, names)
        columns = max(1, min(len(labels), int(across * 12 // (max(map(len, labels)) + 8))))
        down += LEGEND_ROW * (-(-len(labels) // columns) - 1)
        figure = Figure(figsize=(across, down), layout="constrained", facecolor="white")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(axes, panel, looks)
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
        _lay_out(figure, panels, looks, names)
        return {kind: _saved(figure, kind) for kind in ("png", "svg")}


def _saved(figure: Figure, kind: str) -> bytes:
    data = BytesIO()
    # without a date the same figures give the same file
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(data, format=kind, dpi=DPI, metadata=metadata)
    return data.getvalue()


def panel_svg(panel: Panel, looks: Sequence[SeriesStyle], names: Sequence[str]) -> str:
    """Return one panel as an SVG document without background or legend, in INK. Raises NoPlots."""
    check_matplotlib()
    with _settings():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        _draw(axes, panel, looks)
        _lay_out(figure, [panel], looks, names)
        return _saved(figure, "svg").decode()


def legend_svg(panels: Sequence[Panel], looks: Sequence[SeriesStyle], names: Sequence[str]) -> str:
    """Return the legend alone as an SVG document. Raises NoPlots."""
    check_matplotlib()
    with _settings():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, HEIGHT))
        figure.patch.set_visible(False)
        handles, labels = _handles(panels, looks, names)
        columns = 2 if max(map(len, labels)) < LONG else 1
        legend = figure.legend(handles, labels, loc="upper left", ncols=columns, frameon=False, fontsize=9)
        extent = legend.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        text = StringIO()
        figure.savefig(text, format="svg", bbox_inches=extent, metadata={"Date": None})
    return text.getvalue()


@contextmanager
def _settings() -> Iterator[None]:
    """Use matplotlib's own defaults, whatever the user's are; the same figures give the same file."""
    import matplotlib

    ours: Any = {
        "svg.fonttype": "path", "svg.hashsalt": "remdm-tui", "font.size": 10, "axes.spines.top": False,
        "axes.spines.right": False, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK,
        "xtick.color": INK, "ytick.color": INK, "text.parse_math": False, "axes.formatter.use_mathtext": False,
    }  # fmt: skip
    with matplotlib.rc_context(), warnings.catch_warnings():
        # characters that the font lacks are drawn as boxes; the tables have them
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(ours)
        yield


def _draw(axes: Axes, panel: Panel, looks: Sequence[SeriesStyle]) -> None:
    _scales(axes, panel)
    for line in panel.lines:
        _line(axes, line, looks[line.number])
    axes.set_xlabel(panel.axis.title)
    hint = {"lower": ", lower is better", "higher": ", higher is better", None: ""}[panel.quantity.better]
    axes.set_title(f"{panel.quantity.title}{hint}", fontsize=10, loc="left")
    axes.grid(True, which="major", color=INK, alpha=0.12, linewidth=0.6)
    _front(axes, panel)


def _scales(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    plain = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}")
    dots = [dot for line in panel.lines for dot in line.dots]
    across = scale([dot.x for dot in dots], logarithmic=True)
    axes.set_xscale("log")
    axes.set_xlim(across.low, across.high)
    chosen = thinned(sorted({dot.x for dot in dots}))
    axes.xaxis.set_major_locator(FixedLocator(ticks(across, MOST_TICKS) if panel.axis.cost else chosen))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(plain)
    if panel.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(ticks(scale([dot.y.value for dot in dots], True), MOST_TICKS)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(plain)


def thinned(places: Sequence[float], most: int = MOST_TICKS) -> list[float]:
    """Return every k-th of the places, so that at most `most` are left."""
    return list(places)[:: -(-len(places) // most) or 1]


def _line(axes: Axes, line: PlotLine, look: SeriesStyle) -> None:
    xs, ys = [dot.x for dot in line.dots], [dot.y.value for dot in line.dots]
    axes.plot(
        xs, ys, color=look.light, marker=look.marker, markersize=5, linewidth=1.4,
        linestyle=(0, look.dashes) if look.dashes else "-", clip_on=False, zorder=3,
    )  # fmt: skip
    bounded = [(dot.x, y.low, y.high) for dot in line.dots if (y := dot.y).low is not None and y.high is not None]
    if bounded:
        places, lows, highs = (list(column) for column in zip(*bounded))
        axes.vlines(places, lows, highs, colors=look.light, linewidth=1.0, alpha=0.7, zorder=2)


def _front(axes: Axes, panel: Panel) -> None:
    """Draw rings around the settings on the Pareto front, and join them by a grey line."""
    best = sorted((dot.x, dot.y.value) for line in panel.lines for dot in line.dots if dot.front)
    if best:
        xs, ys = zip(*best)
        axes.plot(xs, ys, color=RIBBON, linewidth=3.5, alpha=0.5, zorder=1, clip_on=False)
        axes.plot(
            xs, ys, linestyle="none", marker="o", markersize=11, markerfacecolor="none", markeredgecolor=INK,
            markeredgewidth=0.9, zorder=4, clip_on=False,
        )  # fmt: skip


def _lay_out(figure: Figure, panels: Sequence[Panel], looks: Sequence[SeriesStyle], names: Sequence[str]) -> None:
    """Lay the figure out once for all files, and write the name of each series unless there are too many."""
    direct = len(names) <= DIRECT
    written = [_names(axes, panel, looks) if direct else [] for axes, panel in zip(figure.axes, panels, strict=True)]
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, found in zip(figure.axes, written, strict=True):
        _move_apart(axes, found, 72 / figure.dpi)


def _names(axes: Axes, panel: Panel, looks: Sequence[SeriesStyle]) -> list[Annotation]:
    """Write the name of each line behind its last setting, and return the names."""
    return [
        axes.annotate(
            short_name(line.name), (line.dots[-1].x, line.dots[-1].y.value), xytext=(9, 0), textcoords="offset points",
            color=looks[line.number].light, fontsize=NAME_SIZE, va="center", annotation_clip=False,
        )
        for line in panel.lines
    ]  # fmt: skip


def _move_apart(axes: Axes, names: list[Annotation], points: float) -> None:
    """Move names apart that would overlap. points: in a pixel."""
    places = {name: axes.transData.transform(name.xy)[1] * points for name in names}
    names.sort(key=lambda name: places[name])
    bottom, top = axes.bbox.y0 * points, axes.bbox.y1 * points
    targets = spread_apart([places[name] for name in names], NAME_SIZE * 1.25, bottom, top)
    for name, place in zip(names, targets, strict=True):
        name.set_position((9, place - places[name]))


def short_name(name: str, most: int = LONG) -> str:
    """Return the name, shortened to `most` characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def spread_apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return ascending places moved so that neighbours are a gap apart, within [low, high] if they fit."""
    groups: list[tuple[float, int]] = []
    for place in places:
        centre, count = place, 1
        # neighbours that would overlap become one group around their common centre
        while groups and groups[-1][0] + (groups[-1][1] + count) * gap / 2 > centre:
            before, members = groups.pop()
            centre, count = (before * members + centre * count) / (members + count), members + count
        half = (count - 1) / 2 * gap
        groups.append((max(min(centre, high - half), low + half), count))
    return [centre + (i - (count - 1) / 2) * gap for centre, count in groups for i in range(count)]


def _handles(
    panels: Sequence[Panel], looks: Sequence[SeriesStyle], names: Sequence[str]
) -> tuple[list[Line2D], list[str]]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=look.light, marker=look.marker, markersize=5, linestyle=(0, look.dashes or (1, 0)))
        for look in looks
    ]
    labels = [short_name(name, 2 * LONG) for name in names]
    if ringed(panels):
        ring = Line2D([], [], color=RIBBON, linewidth=3.5)
        ring.set(marker="o", markersize=10, markerfacecolor="none", markeredgecolor=INK)
        return [*handles, ring], [*labels, "Pareto front"]
    return handles, labels


def ringed(panels: Sequence[Panel]) -> bool:
    """Return whether any setting is on a Pareto front."""
    return any(dot.front for panel in panels for line in panel.lines for dot in line.dots)
