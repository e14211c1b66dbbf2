"""The samples or items of a section as a page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.numbers import NONE, decimals, format_perplexity
from remdm_tui.reports.records import Evaluation, Group, TaskEvaluation, TaskGroup
from remdm_tui.reports.samples import ReportSample, first_samples
from remdm_tui.reports.task_items import ReportItem, items

LONGEST = 20_000
"""Characters of a text in the page."""
LONGEST_ANSWER = 200
"""Characters of an extracted answer, or of what it should be."""


@dataclass(frozen=True)
class ShownText:
    """A sample or an item as texts."""

    title: str
    figures: str
    command: str
    """which replays it; empty if nothing does"""
    text: str
    cut: str
    """how many characters are shown; empty if all are"""


@dataclass(frozen=True)
class ShownSetting:
    """The samples or items of one evaluation, or why they are missing."""

    title: str
    home: str
    samples: tuple[ShownText, ...]
    problem: str = ""


@dataclass(frozen=True)
class Examples:
    """The samples or items of a section."""

    title: str
    choice: str
    """how they were chosen"""
    settings: tuple[ShownSetting, ...]


def examples(group: Group | TaskGroup, count: int) -> Examples:
    """Return at most `count` samples or items of each setting."""
    settings = tuple(_setting(one, series.name, count) for series in group.series for one in series.evaluations)
    if all(isinstance(one, Evaluation) for one in group.evaluations):
        return Examples(
            "Samples",
            f"The first {counted(count, 'sample')} of each setting at most, by number and not chosen; all of them are "
            "in the setting's samples.jsonl. A command replays its sample step by step, where the report was made.",
            settings,
        )
    return Examples(
        "Items",
        f"The first {counted(count, 'item')} of each setting at most: right answers that were overwritten first, then "
        "wrong and missing ones; all of them are in the setting's items.jsonl and scores.jsonl. A command replays its "
        "item step by step, where the report was made.",
        settings,
    )


def _setting(one: Evaluation | TaskEvaluation, series: str, count: int) -> ShownSetting:
    title, home = f"{series}, T={one.steps}, seed {one.seed}", sanitize(str(one.home), cells=True)
    try:
        if isinstance(one, Evaluation):
            texts, of = list(map(_sample, first_samples(one, count))), counted(one.results.samples, "sample", form=",")
        else:
            texts, of = list(map(_item, items(one)[:count])), counted(one.results.items, "item", form=",")
    except ValueError as error:
        return ShownSetting(title, home, (), sanitize(str(error), cells=True))
    return ShownSetting(f"{title}: {len(texts)} of {of}", home, tuple(texts))


def _sample(sample: ReportSample) -> ShownText:
    gen_ppl = NONE if sample.gen_ppl is None else format_perplexity(sample.gen_ppl)
    left_out = "" if sample.counted else " (left out by the conventions)"
    figures = (
        f"gen PPL {gen_ppl}{left_out}", f"entropy {decimals(3)(sample.entropy)}", f"{sample.network_calls:,} calls",
        f"repeated-4 {decimals(3)(sample.repetition)}",
    )  # fmt: skip
    return _text(f"Sample {sample.number}", figures, sample.command, sample.text)


def _item(item: ReportItem) -> ShownText:
    figures = (
        item.outcome, *([f"right after steps {item.steps}"] if item.steps else []),
        f"answer {_short(item.answer)}", f"target {_short(item.target)}", counted(item.network_calls, "call", form=","),
        counted(item.tokens, "token", form=","),
    )  # fmt: skip
    return _text(sanitize(f"{item.task} {item.doc}, {item.key}", cells=True), figures, item.command, item.text)


def _text(title: str, figures: Sequence[str], command: str, text: str) -> ShownText:
    return ShownText(
        title, ", ".join(figures), sanitize(command, cells=True), sanitize(text[:LONGEST], lines=True, cells=True),
        f"{LONGEST:,}" if len(text) > LONGEST else "",
    )  # fmt: skip


def _short(text: str) -> str:
    plain = sanitize(" ".join(text.split()), cells=True)
    return plain if len(plain) <= LONGEST_ANSWER else plain[: LONGEST_ANSWER - 1] + "…"
