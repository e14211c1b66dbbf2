"""Write the figures of docs/zoo.md out of an evaluation of all strategies.

remdm-tui eval --preset zoo --out runs/zoo
python scripts/zoo_page.py runs/zoo
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import engine
from engine.records import SHARED_KNOBS
from engine.strategies import make_strategy
from remdm_tui.render.plate_picture import MapPicture
from remdm_tui.reports.collect import collect
from remdm_tui.reports.looks import looks
from remdm_tui.reports.numbers import calls, significant
from remdm_tui.reports.panels import AXES, Quantity, Value, panels, quantities
from remdm_tui.reports.plots import pictures
from remdm_tui.reports.records import Evaluation, Group
from remdm_tui.reports.series_tables import by_steps
from remdm_tui.reports.table import Table
from remdm_tui.reports.tables import facts
from remdm_tui.settings import presets
from remdm_tui.settings.run_arguments import RunArguments

DOCS = Path(__file__).parent.parent / "docs"
PRESET = "zoo"
BEGIN, END = "<!-- scripts/zoo_page.py writes what follows -->", "<!-- scripts/zoo_page.py wrote what precedes -->"
SKELETON = f"""# Every strategy on one model

    remdm-tui eval --preset zoo --out runs/zoo
    python scripts/zoo_page.py runs/zoo

## What one learns

Five sentences.

{BEGIN}
{END}
"""
"""The page where there is none: people write what is outside the two lines."""
MAP_STEPS, MAP_LENGTH, MAP_SEED = 64, 128, 1
"""Of the runs whose maps are shown."""
PANEL = (5.6, 4.6)
"""Inches of a panel: there are many series."""
ACROSS = 6
"""Maps in a row."""
COSTS: tuple[Quantity[Evaluation], ...] = (
    Quantity("calls", "Network calls a text", None, lambda e: Value(e.results.calls.per_sample.value), calls),
    Quantity("tokens", "Tokens a network call", None, lambda e: Value(e.tokens_per_call), significant),
    Quantity("seconds", "Seconds a text", None, lambda e: Value(e.results.timing.seconds_per_sequence), significant),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("evaluation", type=Path, help="the directory that `eval --preset zoo` wrote")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where zoo.md and its pictures go")
    parser.add_argument("--no-maps", action="store_true", help="leave the picture of the maps as it is")
    options = parser.parse_args()
    collection = collect([options.evaluation])
    for remark in collection.remarks:
        print(f"left out: {remark}", file=sys.stderr)
    if len(collection.groups) != 1:
        sys.exit(f"{options.evaluation} holds {len(collection.groups)} groups that cannot be compared, not one")
    (group,) = collection.groups
    (options.docs / "zoo.png").write_bytes(plot(group))
    if not options.no_maps:
        (options.docs / "zoo-maps.png").write_bytes(map_sheet([series.first.strategy for series in group.series]))
    page = options.docs / "zoo.md"
    text = page.read_text("utf-8") if page.exists() else SKELETON
    page.write_text(renewed(text, body(group)), "utf-8")
    print(page)


def renewed(text: str, new: str) -> str:
    """Return the page with what is between the two lines replaced.  Raises ValueError if they are not there."""
    between = re.compile(f"(?<={re.escape(BEGIN)}\n).*(?={re.escape(END)})", re.DOTALL)
    if not between.search(text):
        raise ValueError(f"the page lacks the lines {BEGIN} and {END}")
    return between.sub(lambda _: new, text)


def body(group: Group) -> str:
    """Return pictures and tables in Markdown."""
    parts = ["| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in facts(group))]
    parts.append(
        "![Generative perplexity and entropy against network calls, and perplexity against seconds](zoo.png)\n\n"
        "A network call is one text through the network; a call for each candidate or verified token counts as one. A "
        "call that reads all positions takes more time than one for the masks that are revealed. The last panel counts "
        "that, in seconds of sampling. Rings mark the Pareto front.\n"
    )
    parts += [markdown(table) for table in by_steps(group.series, [*quantities_measured(group), *COSTS])]
    parts.append(
        f"![A map of each strategy](zoo-maps.png)\n\nOne text of each, T = {MAP_STEPS}, L = {MAP_LENGTH}, seed "
        f"{MAP_SEED}: steps to the right, positions down, colours as in the map of `watch`.\n"
    )
    return "\n" + "\n".join(parts) + "\n"


def quantities_measured(group: Group) -> list[Quantity[Evaluation]]:
    """Return the qualities that the evaluations have."""
    return [one for one in quantities() if any(one.of(each) is not None for each in group.evaluations)]


def markdown(table: Table) -> str:
    """Return a table of numbers of steps in Markdown."""
    heads = [column.title for column in table.columns]
    rows = [" | ".join(cell.whole for cell in row) for row in table.rows]
    lines = [" | ".join(heads), "|".join(["---", *["---:"] * (len(heads) - 1)]), *rows]
    return f"### {table.title}\n\n" + "".join(f"| {line} |\n" for line in lines)


def plot(group: Group) -> bytes:
    """Return what is measured against network calls, and gen PPL against seconds, as PNG."""
    drawn = [*panels(group, AXES["calls"]), *panels(group, AXES["seconds"])[:1]]
    return pictures(drawn, looks(len(group.series)), [series.name for series in group.series], PANEL)["png"]


def map_sheet(names: Sequence[str]) -> bytes:
    """Return the maps of one run of each row of the preset, with their names, as PNG."""
    from io import BytesIO

    from matplotlib.figure import Figure

    rows = [name for name in presets.read_preset(PRESET).rows if name in names]
    model = engine.load_model("demo")
    down = -(-len(rows) // ACROSS)
    figure = Figure(figsize=(2.1 * ACROSS, 2.3 * down), layout="constrained", facecolor="white")
    cells: Any = figure.subplots(down, ACROSS, squeeze=False)
    for axes in cells.flat:
        axes.set_axis_off()
    for axes, name in zip(cells.flat, rows, strict=False):
        axes.imshow(_map(model, name), aspect="auto", interpolation="nearest")
        axes.set_title(name, fontsize=9, loc="left")
    data = BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()


def _map(model: Any, row: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the pixels [L, T + 1, 3] of the map of one run of a row."""
    options = RunArguments(preset=f"{PRESET}/{row}", steps=MAP_STEPS, length=MAP_LENGTH, seed=MAP_SEED).options()
    shared = {info.name: getattr(options.settings, info.name) for info in SHARED_KNOBS}
    strategy = make_strategy(options.settings.strategy, **options.settings.knobs)
    run = engine.record(
        model, strategy, steps=options.steps, length=options.length, seed=options.seed, **shared
    )  # fmt: skip
    picture = MapPicture.of(run.trace(), 0, light=True)
    return np.array([list(colour) for colour in picture.table], np.uint8)[picture.colours]


if __name__ == "__main__":
    main()
