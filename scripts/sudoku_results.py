"""Print the tables of Sudokus in docs/results.md, and draw their figure, from evaluations on `--tasks sudoku`.

python scripts/sudoku_results.py runs/solved --picture docs/sudoku.png
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from engine.strategies import REGISTRY
from engine.tasks.plan import SUDOKU
from engine.tasks.results import ScoreLine, differences, read_scores
from engine.tasks.sudoku import BANDS
from remdm_tui.reports.collect import collect
from remdm_tui.reports.looks import looks
from remdm_tui.reports.panels import Axis, Panel, Quantity, Value, mean, panels_of
from remdm_tui.reports.plots import pictures
from remdm_tui.reports.records import Series, TaskEvaluation

Names = Sequence[str]
One = Series[TaskEvaluation]
BASES = ("mdlm", "low-confidence")
"""The strategies that all others are held against."""
OTHERS = 4
"""Series in the figure besides them, unless they are named."""


def value(band: str, metric: str, one: TaskEvaluation) -> Value | None:
    """Return a figure of one range of clues."""
    found = (each.figure for each in one.results.figures if (each.filter, each.metric) == (band, metric))
    return next((Value(each.value, each.low, each.high) for each in found), None)


def read(homes: Sequence[Path]) -> list[One]:
    """Return the series of all evaluations on Sudokus, in the order of the registry.

    Raises ValueError where there are none.
    """
    found = [series for group in collect(homes).tasks if group.terms.tasks == SUDOKU for series in group.series]
    if not found:
        raise ValueError(f"no evaluation on {SUDOKU} in {', '.join(map(str, homes))}")
    order = list(REGISTRY)
    return sorted(found, key=lambda one: order.index(one.first.strategy) if one.first.strategy in order else len(order))


def table(every: Sequence[One], band: str, metric: str, form: Callable[[Value], str]) -> Iterator[str]:
    """Yield the lines of a table in Markdown: series by numbers of steps."""
    steps = sorted({point.steps for one in every for point in one.points})
    yield f"| {metric}, {band} | " + " | ".join(f"T = {number:,}" for number in steps) + " |"
    yield "|---" * (len(steps) + 1) + "|"
    for one in every:
        cells = {point.steps: value(band, metric, point.evaluations[0]) for point in one.points}
        yield " | ".join((f"| {one.name}", *(form(found) if (found := cells.get(at)) else "" for at in steps))) + " |"


def share(found: Value) -> str:
    """Return a share in per cent with its interval."""
    if found.low is None or found.high is None:
        return f"{found.value:.1%}"
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def number(found: Value) -> str:
    return f"{found.value:.1f}"


def in_band(one: TaskEvaluation, band: str) -> list[ScoreLine]:
    return [line for line in read_scores(one.home) if line.filter == band]


def best(every: Sequence[One], band: str) -> Iterator[str]:
    """Yield the lines of a table: at each number of steps the series that solves most, against BASES, pair by pair."""
    yield f"| {band} | most solved by | " + " | ".join(f"more than {name}" for name in BASES) + " |"
    yield "|---" * (len(BASES) + 2) + "|"
    for steps in sorted({point.steps for one in every for point in one.points}):
        there = {
            one.name: point.evaluations[0] for one in every for point in one.points if point.steps == steps
        }  # fmt: skip
        solved = {name: found.value for name, one in there.items() if (found := value(band, "solved", one))}
        if not solved:
            continue
        name = max(solved, key=lambda each: solved[each])
        cells = [_more(there.get(base), there[name], band) for base in BASES]
        yield f"| T = {steps:,} | {name}, {solved[name]:.1%} | " + " | ".join(cells) + " |"


def _more(base: TaskEvaluation | None, one: TaskEvaluation, band: str) -> str:
    """Return the paired difference of what two evaluations solve, in per cent of puzzles; empty for the same one."""
    if base is None or base is one:
        return ""
    found = differences(in_band(base, band), in_band(one, band))
    figure = next((each.figure for each in found if each.metric == "solved"), None)
    if figure is None:
        return ""
    more, low, high = (None if x is None else f"{100 * x:+.1f}" for x in (figure.value, figure.low, figure.high))
    return f"{more}" if low is None else f"{more} [{low}, {high}]"


def chosen(every: Sequence[One], names: Names, band: str) -> list[One]:
    """Return the series with these names; without names BASES and the OTHERS that solve most of a band."""
    if names:
        return [one for one in every if one.name in names]

    def solved(one: One) -> float:
        found = [value(band, "solved", each) for each in one.evaluations]
        return mean([each.value for each in found if each is not None] or [0.0])

    rest = sorted((one for one in every if one.name not in BASES), key=solved, reverse=True)
    return [one for one in every if one.name in BASES] + rest[:OTHERS]


def panels(every: Sequence[One], bands: Names) -> list[Panel]:
    """Return what each range of clues has solved against the network calls of its own puzzles."""
    found: list[Panel] = []
    for band in bands:
        calls = Axis[TaskEvaluation](
            "calls", "network calls a puzzle", partial(_calls, band), cost=True
        )  # fmt: skip
        solved = Quantity[TaskEvaluation](
            "solved", f"solved, {band}", "higher", partial(value, band, "solved"), lambda x: f"{x:.1%}"
        )  # fmt: skip
        found += panels_of(every, calls, [solved])
    return found


def _calls(band: str, one: TaskEvaluation) -> float:
    found = value(band, "calls", one)
    return found.value if found is not None else 0.0


def main() -> None:
    names = [band.name for band in BANDS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("homes", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--band", action="append", choices=names, help="Ranges of clues in the figure; default: all.")
    parser.add_argument("--drawn", nargs="+", default=[], metavar="SERIES", help="Series in the figure, by name.")
    parser.add_argument("--picture", type=Path, help="The figure's file, PNG or SVG.")
    options = parser.parse_args()
    every = read(options.homes)
    for band in names:
        print(*best(every, band), "", *table(every, band, "solved", share), "", sep="\n")
    for metric in ("calls", "broken"):
        print(*table(every, names[0], metric, number), "", sep="\n")
    if options.picture is not None:
        drawn = chosen(every, options.drawn, names[0])
        kinds = pictures(panels(drawn, options.band or names), looks(len(drawn)), [one.name for one in drawn])
        options.picture.write_bytes(kinds[options.picture.suffix.removeprefix(".")])


if __name__ == "__main__":
    main()
