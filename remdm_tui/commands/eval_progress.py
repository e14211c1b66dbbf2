"""How an evaluation is shown while it runs: bars on a terminal, now and then a line elsewhere, or nothing."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from engine.evaluation.metrics import METRICS, Metric, figure_of
from engine.evaluation.plan import ENGINE
from engine.records import Settings
from remdm_tui.console.output import print_json, print_note
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.progress_line import loading_line
from remdm_tui.settings.knobs import matters, own_knobs

if TYPE_CHECKING:
    from engine.evaluation.results import Figure, Results
    from engine.evaluation.run import EvalProgress

EVERY = 10.0
"""Seconds between two plain lines of one stage."""
LINE = 48
"""Cells of a loading line."""


class Shown(Protocol):
    """Where progress and results go."""

    def say(self, sentence: str) -> None: ...

    def loading(self, stage: str, done: int, total: int) -> None: ...

    def stands(self, standing: EvalProgress) -> None: ...

    def results(self, found: Results, home: Path) -> None: ...

    def close(self) -> None: ...


def display(*, quiet: bool, as_json: bool) -> Shown:
    """Progress on stderr unless `quiet`; results on stdout, as a table or as JSON."""
    write = as_lines if as_json else as_tables
    if quiet:
        return Quiet(write)
    return Bars(write) if sys.stderr.isatty() else Lines(write)


class Quiet:
    """Results alone."""

    def __init__(self, write: Any) -> None:
        self._write = write

    def say(self, sentence: str) -> None:
        """Nothing: what matters of it is in the results' notes."""

    def loading(self, stage: str, done: int, total: int) -> None:
        """Nothing."""

    def stands(self, standing: EvalProgress) -> None:
        """Nothing."""

    def results(self, found: Results, home: Path) -> None:
        self._write(found, home)

    def close(self) -> None:
        """Nothing is open."""


class Lines(Quiet):
    """A line in every new stage, and then one in ten seconds."""

    def __init__(self, write: Any) -> None:
        super().__init__(write)
        self._stage, self._last, self._began = "", 0.0, 0.0

    def say(self, sentence: str) -> None:
        print_note(sanitize(sentence))

    def loading(self, stage: str, done: int, total: int) -> None:
        if self._due(stage, done == total):
            self.say(loading_line(stage, done, total, LINE, True))

    def stands(self, standing: EvalProgress) -> None:
        if self._due(standing.stage, standing.done == standing.total):
            count = f" {standing.done:,} of {standing.total:,}" if standing.total else ""
            self.say(", ".join(filter(None, (f"{standing.stage}{count}", remarks(standing)))))

    def _due(self, stage: str, last: bool) -> bool:
        now = time.monotonic()
        if stage == self._stage and now - self._last < EVERY and not last:
            return False
        self._stage, self._last = stage, now
        return True


class Bars(Quiet):
    """One bar, of the present stage, that leaves no trace."""

    def __init__(self, write: Any) -> None:
        super().__init__(write)
        self._console = SafeConsole(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[remarks]}", markup=False), TimeRemainingColumn(compact=True),
            console=self._console, transient=True,
        )  # fmt: skip
        self._task: TaskID | None = None
        self._stage = ""

    def say(self, sentence: str) -> None:
        self._console.print(sanitize(sentence), markup=False, highlight=False)

    def loading(self, stage: str, done: int, total: int) -> None:
        self._show(stage, done, total or None, "")

    def stands(self, standing: EvalProgress) -> None:
        # what an earlier start has done says nothing of how long the rest takes
        self._show(standing.stage, standing.done, standing.total or None, remarks(standing), standing.kept)

    def _show(self, stage: str, done: int, total: int | None, text: str, kept: int = 0) -> None:
        if stage != self._stage or self._task is None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task, self._stage = self._progress.add_task(stage, total=total, completed=kept, remarks=""), stage
            self._progress.start()
        self._progress.update(self._task, completed=done, total=total, remarks=text)

    def results(self, found: Results, home: Path) -> None:
        self.close()
        super().results(found, home)

    def close(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._progress.stop()


def remarks(standing: EvalProgress) -> str:
    """The running figures, generative perplexity never without entropy."""
    said = []
    if standing.tokens_per_second:
        said.append(f"{standing.tokens_per_second:,.0f} tokens/s")
        said.append(f"{standing.saved:.0%} of calls saved")
    if not math.isnan(standing.gen_ppl):
        said.append(f"gen PPL {standing.gen_ppl:.1f}")
    if not math.isnan(standing.entropy):
        said.append(f"entropy {standing.entropy:.2f}")
    return ", ".join(said)


def as_lines(found: Results, home: Path) -> None:
    """One JSON object a line: that of results.json."""
    print_json(msgspec.json.encode(found).decode())


def as_tables(found: Results, home: Path) -> None:
    """For a person."""
    console = SafeConsole(highlight=False)
    sampling = found.settings["sampling"]
    slid = f" + {sampling['strides']} x {sampling['stride']:,}" if sampling["strides"] else ""
    console.print(
        f"{sanitize(found.settings['model']['name'])}, {headline(sampling)}, T = {sampling['steps']:,}, "
        f"L = {sampling['length']:,}{slid}, p = {sampling['top_p']:g}, N = {found.samples:,}, seed {sampling['seed']}",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    table = Table(box=None, pad_edge=False)
    table.add_column("conventions")
    for metric in METRICS.values():
        table.add_column(metric.title, justify="right")
    for how in found.metrics:
        table.add_row(how, *(summarized(metric, figure_of(name, found, how)) for name, metric in METRICS.items()))
    console.print(table)
    first = found.metrics[found.primary]
    if first.gen_ppl is not None:
        judge = sanitize(first.gen_ppl.judge)
        console.print(f"judge {judge}; intervals are {found.entropy_interval.level:.0%}", markup=False)
    if first.mauve is not None:
        console.print(
            f"MAUVE by {sanitize(first.mauve.featurizer)} against {first.mauve.references:,} references, the "
            "spread over k-means seeds", markup=False, soft_wrap=True,
        )  # fmt: skip
    console.print(
        f"{found.calls.per_sample.value:,.1f} network calls a sample ({_saved(found.calls.saved)} than one a step), "
        f"{found.timing.seconds_per_sequence:.3g} s a sequence, {found.timing.tokens_per_second:,.0f} tokens/s",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    said = [m.mauve.warning for m in found.metrics.values() if m.mauve is not None and m.mauve.warning]
    for note in dict.fromkeys((*said, *found.notes)):
        console.print(f"note: {sanitize(note)}", markup=False, soft_wrap=True)
    for lost in found.failed:
        console.print(
            f"failed: sample {lost.number}, whose logits at step {lost.step}, position {lost.position} are not finite",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    where = sanitize(str(home))
    console.print(f"{where}: samples.jsonl, results.json (every setting and convention)", markup=False, soft_wrap=True)


def headline(sampling: dict[str, Any]) -> str:
    """The strategy with the knobs that have an effect, and who drew if it was not this engine."""
    from engine.strategies import catalogue

    settings = Settings(sampling["strategy"], sampling["knobs"])
    known = own_knobs(settings.strategy, catalogue())
    knobs = [f"{info.name}={settings.knobs[info.name]}" for info in known if matters(info, settings)]
    drawn = "" if sampling["predictor"] == ENGINE else f"by {sampling['predictor']}"
    return " ".join(filter(None, (settings.strategy, *knobs, drawn)))


def summarized(metric: Metric, figure: Figure | None) -> str:
    """Return a metric's figure with its bounds; a dash where it was not measured."""
    if figure is None:
        return "-"
    if not metric.spread:
        return interval(figure, metric.digits)
    deviation = "" if figure.high is None else f" +- {figure.high - figure.value:.{metric.digits}f}"
    return f"{figure.value:.{metric.digits}f}{deviation}"


def interval(figure: Figure, digits: int) -> str:
    """42.5 [41.0, 44.1]."""
    value = f"{figure.value:.{digits}f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def _saved(share: float) -> str:
    """A share of network calls that were not needed, or were needed beyond one a step."""
    return f"{-share:.0%} more" if share < 0 else f"{share:.0%} fewer"
