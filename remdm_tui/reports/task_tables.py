"""The tables of evaluations on tasks, and the sentences that belong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.tasks.plan import SUDOKU
from engine.tasks.results import differences, read_scores
from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.panels import Panel, Quantity, Value, panels_of
from remdm_tui.reports.records import Series, TaskEvaluation, TaskGroup, TaskTerms
from remdm_tui.reports.series_tables import MeasuredColumn, by_steps, cell, fronts, series_table
from remdm_tui.reports.table import Cell, Column, Table
from remdm_tui.reports.tables import device, ended, incomparable, listed, shared_traits
from remdm_tui.reports.task_figures import (
    ANSWER_FIGURES,
    TASK_AXES,
    AnswerFigure,
    drawn_quantities,
    filtered_quantities,
    metric_quantities,
    single_quantities,
)
from remdm_tui.reports.task_items import OVERWRITTEN, items

NAMED = 10
"""Documents that a cell names."""
LISTED = 20
"""Overwritten answers of an evaluation that a table lists; the page has more."""
LONGEST = 40
"""Characters of an answer in a table."""
DIFFERENCES = (
    Column("series", textual=True), Column("T"), Column("seed", core=False), Column("metric", textual=True),
    Column("difference"), Column("only first"), Column("only this"), Column("documents", core=False, textual=True),
)  # fmt: skip
ITEMS = (
    Column("series", textual=True), Column("T"), Column("seed", core=False), Column("task", textual=True),
    Column("document"), Column("right after steps"), Column("answer", textual=True), Column("target", textual=True),
    Column("item", textual=True),
)  # fmt: skip


def task_overview(group: TaskGroup) -> tuple[Table, ...]:
    """Return a table of series by numbers of steps for each metric; empty for a single number of steps."""
    return by_steps(group.series, drawn_quantities(group))


def task_detail(series: Series[TaskEvaluation], group: TaskGroup) -> Table:
    """Return the table of a series: a row for each evaluation, and a mean over seeds for settings with several."""
    columns = [MeasuredColumn(q.title, q.form, q.of, True) for q in single_quantities(group)]
    for figure in _answer_figures(group):
        columns.append(MeasuredColumn(figure.quantity.title, figure.quantity.form, figure.quantity.of, figure.core))
    costs = (panel for axis in TASK_AXES if TASK_AXES[axis].cost for panel in task_panels(group, axis))
    return series_table(series, columns, lambda one: one.results.items, fronts(costs))


def filter_tables(group: TaskGroup) -> tuple[Table, ...]:
    """Return a table for each metric behind many filters: a row for each evaluation, a column for each filter."""
    every = filtered_quantities(group)
    return tuple(_filter_table(group, task, metric, filters) for (task, metric), filters in every.items())


def _filter_table(group: TaskGroup, task: str, metric: str, filters: Mapping[str, Quantity[TaskEvaluation]]) -> Table:
    heads = [Column("series", textual=True), Column("T"), Column("seed", core=False)]
    heads += [Column(sanitize(name, cells=True)) for name in filters]
    rows = tuple(
        (Cell(series.name), Cell(str(one.steps)), Cell(str(one.seed)),
         *(cell(quantity.of(one), quantity.form) for quantity in filters.values()))
        for series in group.series
        for one in series.evaluations
    )  # fmt: skip
    return Table(sanitize(f"{task}: {metric}", cells=True), tuple(heads), rows)


def task_panels(group: TaskGroup, axis: str) -> tuple[Panel, ...]:
    """Return the plots against one of TASK_AXES."""
    return panels_of(group.series, TASK_AXES[axis], drawn_quantities(group))


def difference_table(group: TaskGroup) -> Table | None:
    """Return what every series has more than the first at the same steps and seed; None for a single series."""
    first, *others = group.series
    base = {(one.steps, one.seed): one for one in first.evaluations}
    pairs = [
        (series.name, base[one.steps, one.seed], one)
        for series in others
        for one in series.evaluations
        if (one.steps, one.seed) in base
    ]
    rows = tuple(row for name, was, one in pairs for row in _differences(name, was, one, group))
    title = f"Paired differences to {first.name}"
    note = "on the same documents, at the same steps and seed; documents that one alone has right"
    return Table(title, DIFFERENCES, rows, note) if rows else None


def _differences(name: str, was: TaskEvaluation, one: TaskEvaluation, group: TaskGroup) -> Iterator[tuple[Cell, ...]]:
    titles = {quantity.key: quantity.title for quantity in metric_quantities(group)}
    left_out = titles.keys() - {quantity.key for quantity in drawn_quantities(group)}
    for found in differences(read_scores(was.home), read_scores(one.home)):
        key = "-".join((found.task, found.filter, found.metric))
        if key in left_out:
            continue
        value = Value(found.figure.value, found.figure.low, found.figure.high)
        alone = {"first": found.only_first, "this": found.only_second}
        named = "; ".join(f"{who}: {_named(docs)}" for who, docs in alone.items() if docs)
        yield (
            Cell(name), Cell(str(one.steps)), Cell(str(one.seed)), Cell(titles.get(key, key)),
            cell(value, lambda x: f"{x:+.3f}"), Cell(f"{len(found.only_first):,}"), Cell(f"{len(found.only_second):,}"),
            Cell(named),
        )  # fmt: skip


def _named(docs: Sequence[int]) -> str:
    return ", ".join(map(str, docs[:NAMED])) + (" …" if len(docs) > NAMED else "")


def overwritten_table(group: TaskGroup) -> Table | None:
    """Return the items whose right answer was overwritten; None if there are none."""
    rows, left = [], 0
    for series in group.series:
        for one in series.evaluations:
            found = [item for item in items(one) if item.outcome == OVERWRITTEN]
            left += len(found[LISTED:])
            rows += [
                (
                    Cell(series.name), Cell(str(one.steps)), Cell(str(one.seed)), Cell(sanitize(item.task, cells=True)),
                    Cell(str(item.doc)), Cell(item.steps), Cell(_short(item.answer)), Cell(_short(item.target)),
                    Cell(item.key),
                )
                for item in found[:LISTED]
            ]  # fmt: skip
    note = "remdm-tui watch --from DIR --item ITEM replays one"
    if left:
        note = f"{counted(left, 'more is', 'more are', form=',')} in items.jsonl; {note}"
    return Table("Right answers that were overwritten", ITEMS, tuple(rows), note) if rows else None


def _short(text: str) -> str:
    plain = sanitize(" ".join(text.split()), cells=True)
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def _answer_figures(group: TaskGroup) -> Iterator[AnswerFigure]:
    """Yield the figures of answers; that of right ones only where no metric says the same."""
    drawn = {quantity.key for quantity in drawn_quantities(group)}
    for figure in ANSWER_FIGURES.values():
        if not figure.drawn or figure.quantity.key in drawn:
            yield figure


# -- facts and warnings


def task_facts(group: TaskGroup) -> tuple[tuple[str, str], ...]:
    """Return what all evaluations of a group have in common, by name."""
    terms, every = group.terms, group.evaluations
    return (
        *shared_traits(every).items(),
        ("tasks", terms.tasks),
        ("items (N)", f"{terms.items:,} for each setting"),
        ("limit", terms.limit),
        *(_prompt_facts(terms) if terms.harness else ()),
        ("seeds", ", ".join(map(str, sorted({one.seed for one in every})))),
        ("devices", listed(device(one.results.timing) for one in every)),
        ("remdm-tui", listed(one.results.version for one in every)),
    )


def _prompt_facts(terms: TaskTerms) -> tuple[tuple[str, str], ...]:
    """Return how lm-evaluation-harness has made the prompts."""
    return (
        ("examples in a prompt", terms.examples),
        ("chat template", terms.chat_template),
        ("system prompt", terms.system_prompt),
        ("lm-evaluation-harness", terms.harness),
    )


def task_terms(group: TaskGroup) -> str:
    """Return what the figures must not be quoted without, for a caption."""
    shared = group.terms
    harness = f"; lm-evaluation-harness {shared.harness}" if shared.harness else ""
    return f"{shared.tasks}; N = {shared.items:,} items for each setting{harness}."


def task_reading_guide(group: TaskGroup) -> tuple[str, ...]:
    """Return how to read the figures, in sentences."""
    levels = {f"{one.results.network_calls.level:.0%}" for one in group.evaluations}
    shares = ("Solved and ever solved have Wilson's intervals.",) if group.terms.tasks == SUDOKU else ()
    return (
        f"Brackets and bars are {' or '.join(sorted(levels))} bootstrap intervals over items. Calls, length and "
        "seconds are those of one item; tokens are those before the end of the text. Entropy is in nats.",
        "Right is what the first metric of a task says behind its first filter: at the end, or after any step. "
        "Overwritten answers were right after a step, and not at the end.",
        *shares,
    )


def task_warnings(group: TaskGroup) -> tuple[str, ...]:
    """Return what makes figures of the group doubtful, each sentence once."""
    every = group.evaluations
    sentences = dict.fromkeys(ended(note) for one in every for note in one.results.notes)
    for one in every:
        if one.results.cut:
            lost = counted(one.results.cut, "item", form=",")
            sentences[f"The context of {lost} of {sanitize(str(one.home), cells=True)} lost its beginning."] = None
    return tuple(sentences | dict.fromkeys(incomparable(every)))
