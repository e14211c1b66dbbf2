"""The tables of a report as plain data, and the sentences that belong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

from engine.evaluation.metrics import METRICS, Metric
from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.panels import AXES, Quantity, Value, combined, mean, panels, quantities
from remdm_tui.reports.records import Evaluation, Group, Point, Series

NONE = "–"


@dataclass(frozen=True)
class Cell:
    """A figure and its spread."""

    text: str
    spread: str = ""
    """an interval or a deviation, in smaller type if possible"""

    @property
    def whole(self) -> str:
        """Return figure and spread in one text."""
        return f"{self.text} {self.spread}".rstrip()


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    core: bool = True
    """whether it is shown even if the table is narrow"""


@dataclass(frozen=True)
class Table:
    """A titled table."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """the first cell is the heading of the row"""
    note: str = ""

    def core(self) -> Table:
        """Return the table with its core columns alone."""
        kept = [i for i, column in enumerate(self.columns) if column.core]
        rows = tuple(tuple(row[i] for i in kept) for row in self.rows)
        return Table(self.title, tuple(self.columns[i] for i in kept), rows, self.note)


def format_perplexity(x: float) -> str:
    """Return a perplexity with three or more digits."""
    return f"{x:,.0f}" if x >= 1000 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def decimals(places: int) -> Callable[[float], str]:
    """Return a function that formats numbers with a fixed number of decimal places."""
    return lambda x: f"{x:,.{places}f}"


def significant(x: float) -> str:
    """Return three significant digits, without an exponent if the number is below a billion."""
    return f"{x:,.0f}" if 1000 <= x < 1e9 else f"{x:.3g}"


def format_of(metric: Metric) -> Callable[[float], str]:
    """Return how the values of a metric are formatted."""
    return format_perplexity if metric.perplexity else decimals(3)


# -- one row for a series, one column for a number of steps


def overview(group: Group) -> tuple[Table, ...]:
    """Return a table of series by numbers of steps for each quality; empty for a single number of steps."""
    steps = sorted({point.steps for series in group.series for point in series.points})
    if len(steps) < 2:
        return ()
    columns = (Column("series"), *(Column(f"T={n}") for n in steps))
    quantities = [panel.quantity for panel in panels(group, AXES["steps"])]
    return tuple(
        Table(quantity.title, columns, tuple(_across(series, quantity, steps) for series in group.series))
        for quantity in quantities
    )


def _across(series: Series, quantity: Quantity, steps: Sequence[int]) -> tuple[Cell, ...]:
    by_steps = {point.steps: point for point in series.points}
    cells = [Cell(series.name)]
    for number in steps:
        point = by_steps.get(number)
        values = [v for e in point.evaluations if (v := quantity.of(e)) is not None] if point else []
        cells.append(Cell(format_of(METRICS[quantity.key])(combined(values).value) if values else NONE))
    return tuple(cells)


# -- one table for a series, with everything that was measured


@dataclass(frozen=True)
class MeasuredColumn:
    """A column of the table of a series."""

    title: str
    form: Callable[[float], str]
    of: Callable[[Evaluation], Value | None]
    core: bool = False
    symmetric: bool = False
    """whether the bounds are the value plus and minus a deviation"""


def measured(one: Evaluation) -> tuple[MeasuredColumn, ...]:
    """Return what the results of an evaluation hold, in the order of the columns."""
    qualities = (
        MeasuredColumn(q.title, format_of(metric), q.of, True, symmetric=metric.spread)
        for q in quantities()
        if (metric := METRICS[q.key])
    )
    diversity = (
        MeasuredColumn(f"distinct-{n}", decimals(3), lambda e, n=n: _plain(e.results.distinct.get(n)))  # type: ignore[misc]
        for n in one.results.distinct
    )
    repetition = (
        MeasuredColumn(f"repeated-{n}", decimals(3), lambda e, n=n: _plain(e.results.repetition.get(n)))  # type: ignore[misc]
        for n in one.results.repetition
    )
    return (
        *qualities,
        MeasuredColumn("calls", lambda x: f"{x:,.1f}" if x < 100 else f"{x:,.0f}", _calls, core=True),
        MeasuredColumn("saved", lambda x: f"{x:.0%}", lambda e: Value(e.results.calls.saved)),
        MeasuredColumn("s/seq", significant, lambda e: Value(e.results.timing.seconds_per_sequence), core=True),
        MeasuredColumn("tokens/s", significant, lambda e: Value(e.results.timing.tokens_per_second)),
        *diversity,
        *repetition,
    )


def _plain(number: float | None) -> Value | None:
    return None if number is None else Value(number)


def _calls(one: Evaluation) -> Value:
    # a cost is shown without its interval, which is in results.json
    return Value(one.results.calls.per_sample.value)


def detail(series: Series, group: Group) -> Table:
    """Return the table of a series: a row for each evaluation, and a mean over seeds for settings with several."""
    shown = [m for m in measured(series.first) if any(m.of(e) is not None for e in series.evaluations)]
    fronts = _fronts(group)
    columns = [Column("T"), Column("seed"), Column("N", core=False)]
    columns += [Column(m.title, m.core) for m in shown]
    marked = any((series.name, point.steps) in fronts for point in series.points)
    rows = [row for point in series.points for row in _rows(point, shown)]
    if marked:
        columns.append(Column("Pareto front", core=False))
        rows = [(*row, Cell(cell)) for row, cell in zip(rows, _marks(series, fronts), strict=True)]
    return Table(series.name, tuple(columns), tuple(rows), setting(series))


def setting(series: Series) -> str:
    """Return every knob of the strategy, in one line."""
    return ", ".join(f"{name} {value}" for name, value in series.first.knobs.items())


def _rows(point: Point, columns: Sequence[MeasuredColumn]) -> Iterator[tuple[Cell, ...]]:
    for one in point.evaluations:
        yield (
            Cell(str(one.steps)), Cell(str(one.seed)), Cell(f"{one.results.samples:,}"),
            *(_cell(m.of(one), m.form, m.symmetric) for m in columns),
        )  # fmt: skip
    if len(point.evaluations) > 1:
        total = sum(e.results.samples for e in point.evaluations)
        yield (
            Cell(str(point.steps)), Cell("mean"), Cell(f"{total:,}"),
            *(_mean([v for e in point.evaluations if (v := m.of(e)) is not None], m.form) for m in columns),
        )  # fmt: skip


def _cell(value: Value | None, form: Callable[[float], str], symmetric: bool = False) -> Cell:
    if value is None:
        return Cell(NONE)
    if symmetric and value.high is not None:
        return Cell(form(value.value), f"±{form(value.high - value.value)}")
    if value.low is None or value.high is None:
        return Cell(form(value.value))
    return Cell(form(value.value), f"[{form(value.low)}, {form(value.high)}]")


def _mean(values: Sequence[Value], form: Callable[[float], str]) -> Cell:
    numbers = [v.value for v in values]
    if len(numbers) < 2:
        return Cell(form(numbers[0]) if numbers else NONE)
    return Cell(form(mean(numbers)), f"±{form(stdev(numbers))}")


def _fronts(group: Group) -> dict[tuple[str, int], list[str]]:
    """Return the fronts that each setting is on, in words, by series and steps."""
    fronts: dict[tuple[str, int], list[str]] = {}
    for axis in (a for a in AXES.values() if a.cost):
        for panel in panels(group, axis):
            for line in panel.lines:
                for dot in line.dots:
                    if dot.front:
                        fronts.setdefault((line.name, dot.steps), []).append(f"{panel.quantity.title}/{axis.key}")
    return fronts


def _marks(series: Series, fronts: Mapping[tuple[str, int], Sequence[str]]) -> Iterator[str]:
    """Yield the cells of the last column; the mark of a setting is in its last row, that of the mean."""
    for point in series.points:
        rows = len(point.evaluations) + (len(point.evaluations) > 1)
        yield from [""] * (rows - 1)
        yield ", ".join(fronts.get((series.name, point.steps), ()))


# -- facts and warnings


def facts(group: Group) -> tuple[tuple[str, str], ...]:
    """Return what all evaluations of a group have in common, by name."""
    terms, every = group.terms, group.evaluations
    judge = f"{terms.judge}, which reads {terms.judge_limit:,} tokens at most" if terms.judge_limit else terms.judge
    traits = {name: value for name, value in every[0].traits.items() if all(e.traits.get(name) == value for e in every)}
    return (
        *traits.items(),
        ("samples (N)", f"{terms.samples:,} for each setting"),
        ("seeds", ", ".join(map(str, sorted({e.seed for e in every})))),
        ("judge", judge),
        ("featurizer", terms.featurizer),
        ("references", terms.references),
        ("conventions", terms.conventions),
        ("devices", _listed(_device(e) for e in every)),
        ("remdm-tui", _listed(e.results.version for e in every)),
    )


def _device(one: Evaluation) -> str:
    timing = one.results.timing
    return timing.device if timing.processes == 1 else f"{timing.device}, {timing.processes} processes"


def _listed(words: Iterable[str]) -> str:
    return "; ".join(sanitize(word, cells=True) for word in dict.fromkeys(words))


def reading_guide(group: Group) -> tuple[str, ...]:
    """Return how to read the figures, in sentences."""
    every = group.evaluations
    levels = {f"{e.results.entropy_interval.level:.0%}" for e in every}
    sentences = [
        f"Brackets and bars are {' or '.join(sorted(levels))} bootstrap intervals over samples. Entropy is in nats."
    ]
    if any(e.mauve for e in every):
        sentences.append("MAUVE is followed by its standard deviation over k-means seeds.")
    if any(len(point.evaluations) > 1 for series in group.series for point in series.points):
        sentences.append(
            "A setting with several seeds has a row for each and one with their mean and, behind ±, their standard "
            "deviation; plots show the mean, with a bar from the least to the greatest seed."
        )
    if any(e.gen_ppl for e in every):
        sentences.append(
            "Gen PPL alone can be gamed by repetitive text: read it with entropy, which should be that of data."
        )
    return tuple(sentences)


def warnings(group: Group) -> tuple[str, ...]:
    """Return what makes figures of the group doubtful, each sentence once."""
    every = group.evaluations
    sentences = dict.fromkeys(ended(e.mauve.warning) for e in every if e.mauve and e.mauve.warning)
    sentences |= dict.fromkeys(ended(note) for e in every for note in e.results.notes)
    for one in every:
        home = sanitize(str(one.home), cells=True)
        if one.results.failed:
            sentences[f"{counted(len(one.results.failed), 'sample')} of {home} could not be finished: left out."] = None
        if one.gen_ppl and one.gen_ppl.cut:
            sentences[
                f"The judge read less than the whole of {counted(one.gen_ppl.cut, 'text', form=',')} of {home}."
            ] = None
    clocks = {(e.results.timing.device, e.results.timing.processes) for e in every}
    if len(clocks) > 1:
        sentence = "Seconds were taken on different devices or by different numbers of processes: do not compare them."
        sentences[sentence] = None
    if len({e.results.version for e in every}) > 1:
        sentences["The evaluations were made by different versions of remdm-tui."] = None
    others = sorted(
        {sanitize(name, cells=True) for e in every for name in e.results.metrics} - {group.terms.conventions}
    )
    if others:
        sentences[f"Also measured under other conventions, which --conventions shows: {', '.join(others)}."] = None
    return tuple(sentences)


def ended(sentence: str) -> str:
    """Return the sentence sanitized and with a full stop."""
    return sanitize(sentence, cells=True).removesuffix(".") + "."
