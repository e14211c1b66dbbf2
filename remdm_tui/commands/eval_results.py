"""The results of an evaluation on standard output: tables for a person, or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.table import Table
from rich.text import Text

from engine.evaluation.metrics import METRICS, Metric, figure_of
from engine.evaluation.plan import ENGINE
from engine.records import Settings
from engine.text.counts import counted
from remdm_tui.console.output import print_json
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import sanitize
from remdm_tui.settings.knobs import matters, own_knobs

if TYPE_CHECKING:
    from engine.evaluation.results import Figure, Results


def print_results(results: Results, home: Path, *, as_json: bool) -> None:
    """Print the results in the directory `home`, as one JSON object in a line or as tables. Raises OSError."""
    if as_json:
        print_json(msgspec.json.encode(results).decode())
    else:
        _print_tables(results, home)


def _print_tables(results: Results, home: Path) -> None:
    console = SafeConsole(highlight=False)
    sampling, calls, timing = results.settings["sampling"], results.calls, results.timing
    windows = f" + {sampling['strides']} x {sampling['stride']:,}" if sampling["strides"] else ""
    console.print(
        f"{sanitize(results.settings['model']['name'])}, {strategy_line(sampling)}, T = {sampling['steps']:,}, "
        f"L = {sampling['length']:,}{windows}, p = {sampling['top_p']:g}, N = {results.samples:,}, "
        f"seed {sampling['seed']}",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    table = Table(box=None, pad_edge=False)
    table.add_column("conventions")
    for metric in METRICS.values():
        table.add_column(metric.title, justify="right")
    for name in results.metrics:
        figures = (summary_of(metric, figure_of(key, results, name)) for key, metric in METRICS.items())
        table.add_row(*(Text(sanitize(cell)) for cell in (name, *figures)))
    console.print(table)
    first = results.metrics[results.primary]
    if first.gen_ppl is not None:
        judge = sanitize(first.gen_ppl.judge)
        console.print(f"judge {judge}; intervals are {results.entropy_interval.level:.0%}", markup=False)
    if first.mauve is not None:
        console.print(
            f"MAUVE by {sanitize(first.mauve.featurizer)} against "
            f"{counted(first.mauve.references, 'reference', form=',')}, the spread over k-means seeds",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    console.print(
        f"{calls.per_sample.value:,.1f} network calls a sample ({_compared(calls.saved)} than one a step), "
        f"{timing.seconds_per_sequence:.3g} s a sequence, {timing.tokens_per_second:,.0f} tokens/s",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    warnings = [m.mauve.warning for m in results.metrics.values() if m.mauve is not None and m.mauve.warning]
    for note in dict.fromkeys((*warnings, *results.notes)):
        console.print(f"note: {sanitize(note)}", markup=False, soft_wrap=True)
    for sample in results.failed:
        console.print(
            f"failed: sample {sample.number}, whose logits at step {sample.step}, position {sample.position} are not "
            "finite",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    files = "samples.jsonl, results.json (every setting and convention)"
    console.print(f"{sanitize(str(home))}: {files}", markup=False, soft_wrap=True)


def strategy_line(sampling: dict[str, Any]) -> str:
    """Return the strategy with the knobs that have an effect, and the predictor if it is not the engine's."""
    from engine.strategies import catalogue

    settings = Settings(sampling["strategy"], sampling["knobs"])
    infos = own_knobs(settings.strategy, catalogue())
    knobs = [f"{info.name}={settings.knobs.get(info.name, info.default)}" for info in infos if matters(info, settings)]
    predictor = "" if sampling["predictor"] == ENGINE else f"by {sampling['predictor']}"
    return " ".join(filter(None, (settings.strategy, *knobs, predictor)))


def summary_of(metric: Metric, figure: Figure | None) -> str:
    """Return a metric's figure with its bounds; a dash if it was not measured."""
    if figure is None:
        return "-"
    if not metric.spread:
        return interval_text(figure, metric.digits)
    deviation = "" if figure.high is None else f" +- {figure.high - figure.value:.{metric.digits}f}"
    return f"{figure.value:.{metric.digits}f}{deviation}"


def interval_text(figure: Figure, digits: int) -> str:
    """Return a figure with its bounds, such as 42.5 [41.0, 44.1]."""
    value = f"{figure.value:.{digits}f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def _compared(saved: float) -> str:
    """Return how many network calls there were against one a step; `saved` is negative for more."""
    return f"{-saved:.0%} more" if saved < 0 else f"{saved:.0%} fewer"
