"""The tables of evaluations on samples, and the sentences that belong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.evaluation.metrics import METRICS
from engine.evaluation.results import Timing
from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.numbers import calls, decimals, significant
from remdm_tui.reports.panels import AXES, Value, panels, quantities
from remdm_tui.reports.records import Evaluated, Evaluation, Group, Series, TaskEvaluation
from remdm_tui.reports.series_tables import MeasuredColumn, by_steps, fronts, series_table
from remdm_tui.reports.table import Table


def overview(group: Group) -> tuple[Table, ...]:
    """Return a table of series by numbers of steps for each quality; empty for a single number of steps."""
    return by_steps(group.series, [panel.quantity for panel in panels(group, AXES["steps"])])


def measured(one: Evaluation) -> tuple[MeasuredColumn[Evaluation], ...]:
    """Return what the results of an evaluation hold, in the order of the columns."""
    qualities = (MeasuredColumn(q.title, q.form, q.of, True, symmetric=METRICS[q.key].spread) for q in quantities())
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
        MeasuredColumn("calls", calls, _calls, core=True),
        MeasuredColumn("tokens/call", significant, lambda e: Value(e.tokens_per_call)),
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


def detail(series: Series[Evaluation], group: Group) -> Table:
    """Return the table of a series: a row for each evaluation, and a mean over seeds for settings with several."""
    costs = (panel for axis in AXES.values() if axis.cost for panel in panels(group, axis))
    return series_table(series, measured(series.first), lambda one: one.results.samples, fronts(costs))


# -- facts and warnings


def facts(group: Group) -> tuple[tuple[str, str], ...]:
    """Return what all evaluations of a group have in common, by name."""
    terms, every = group.terms, group.evaluations
    judge = f"{terms.judge}, which reads {terms.judge_limit:,} tokens at most" if terms.judge_limit else terms.judge
    return (
        *shared_traits(every).items(),
        ("samples (N)", f"{terms.samples:,} for each setting"),
        ("seeds", ", ".join(map(str, sorted({e.seed for e in every})))),
        ("judge", judge),
        ("featurizer", terms.featurizer),
        ("references", terms.references),
        ("conventions", terms.conventions),
        ("devices", listed(device(e.results.timing) for e in every)),
        ("remdm-tui", listed(e.results.version for e in every)),
    )


def terms(group: Group) -> str:
    """Return what the figures must not be quoted without, for a caption."""
    shared = group.terms
    text = f"N = {shared.samples:,} samples for each setting; judge {shared.judge}; conventions {shared.conventions}"
    if shared.featurizer != "none":
        text += f"; MAUVE with features of {shared.featurizer} against {shared.references}"
    small = {ended(e.mauve.warning) for e in group.evaluations if e.mauve and e.mauve.warning}
    return " ".join([f"{text}.", *sorted(small)])


def shared_traits(every: Sequence[Evaluated]) -> dict[str, str]:
    """Return the settings that all evaluations have in common."""
    return {name: value for name, value in every[0].traits.items() if all(e.traits.get(name) == value for e in every)}


def device(timing: Timing) -> str:
    """Return what an evaluation ran on."""
    return timing.device if timing.processes == 1 else f"{timing.device}, {timing.processes} processes"


def listed(words: Iterable[str]) -> str:
    """Return different words in a line."""
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
    sentences |= dict.fromkeys(incomparable(every))
    others = sorted(
        {sanitize(name, cells=True) for e in every for name in e.results.metrics} - {group.terms.conventions}
    )
    if others:
        sentences[f"Also measured under other conventions, which --conventions shows: {', '.join(others)}."] = None
    return tuple(sentences)


def incomparable(every: Iterable[Evaluation | TaskEvaluation]) -> Iterator[str]:
    """Yield why some figures of evaluations cannot be compared, in sentences."""
    results = [one.results for one in every]
    if len({(one.timing.device, one.timing.processes) for one in results}) > 1:
        yield "Seconds were taken on different devices or by different numbers of processes: do not compare them."
    if len({one.version for one in results}) > 1:
        yield "The evaluations were made by different versions of remdm-tui."


def ended(sentence: str) -> str:
    """Return the sentence sanitized and with a full stop."""
    return sanitize(sentence, cells=True).removesuffix(".") + "."
