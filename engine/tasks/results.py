"""What an evaluation on tasks finds: how often answers are right, what they cost, and two strategies compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.evaluation.results import RESULTS, Figure, Timing, decoded, figure
from engine.evaluation.shards import Spent, timing
from engine.files.jsonl import lines
from engine.metrics.bootstrap import interval
from engine.tasks.items import AnswerLine

SCORES = "scores.jsonl"
FORMAT = 1


class ScoreLine(msgspec.Struct, frozen=True):
    """One document of a task behind one of its filters."""

    task: str
    doc: int
    filter: str
    keys: tuple[str, ...]
    """of its items"""
    answer: str
    target: str
    metrics: dict[str, float]


class TaskFigure(msgspec.Struct, frozen=True):
    """One metric of one task; the bounds are None where it is no mean over documents."""

    task: str
    filter: str
    metric: str
    figure: Figure
    documents: int
    better: str | None
    """higher or lower"""


class TaskResults(msgspec.Struct, frozen=True):
    """The content of results.json."""

    format: int
    version: str
    settings: dict[str, Any]
    figures: tuple[TaskFigure, ...]
    items: int
    network_calls: Figure
    """an item"""
    tokens_per_call: Figure | None
    """before the end of the text"""
    length: Figure
    """tokens before the end of the text"""
    entropy: Figure | None
    ends: Figure | None
    """share of tokens that end a text"""
    right: Figure | None
    """share of answers that were right after the last step"""
    ever_right: Figure | None
    """share of answers that were right after any step"""
    overwritten: tuple[str, ...]
    """items that were right after a step, and not at the end"""
    problems: dict[str, str]
    """by item, why there is no answer"""
    cut: int
    """items whose context was shortened"""
    seconds: float
    """of answering, summed over all starts"""
    timing: Timing
    notes: tuple[str, ...] = ()


def task_results(
    settings: Any,
    version: str,
    figures: Sequence[TaskFigure],
    answers: Mapping[str, AnswerLine],
    spent: Sequence[Spent],
    notes: Sequence[str],
) -> TaskResults:
    """Return the results.  answers: those of this evaluation."""
    done = [line for _, line in sorted(answers.items()) if not line.problem]
    generated = [line for line in done if line.ids]
    judged = [line for line in generated if line.right is not None]
    ended_right = [float(is_right_at_end(line)) for line in judged]
    calls = [float(line.network_calls) for line in done]
    tokens = [float(line.tokens) for line in done]
    time = timing(spent, len(answers) or 1, sum(tokens) / max(1, len(done)))
    return TaskResults(
        format=FORMAT, version=version, settings=msgspec.to_builtins(settings), figures=tuple(figures),
        items=len(answers),
        network_calls=_mean(calls) or Figure(0.0),
        tokens_per_call=figure(interval(tokens, calls)) if sum(calls) else None,
        length=_mean(tokens) or Figure(0.0),
        entropy=_mean([line.entropy for line in generated]),
        ends=_mean([line.ends for line in generated]),
        right=_mean(ended_right),
        ever_right=_mean([float(bool(line.right)) for line in judged]),
        overwritten=tuple(line.key for line in judged if line.right and not is_right_at_end(line)),
        problems={line.key: line.problem for _, line in sorted(answers.items()) if line.problem},
        cut=sum(line.cut > 0 for line in done), seconds=time.sampling_seconds, timing=time,
        notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def is_right_at_end(line: AnswerLine) -> bool:
    """Return whether an answer that was judged was right after its last step."""
    return bool(line.right) and line.right is not None and line.right[-1][1] == line.steps


def score_lines(found: Mapping[str, Any], keys: Mapping[tuple[str, int], tuple[str, ...]]) -> list[ScoreLine]:
    """Return a line for each document and filter.  keys: by task and document, those of its items."""
    result = []
    for task, samples in found["samples"].items():
        for sample in samples:
            numbers = {name: sample[name] for name in sample["metrics"] if isinstance(sample[name], (int, float))}
            answer = sample["filtered_resps"][0]
            doc = int(sample["doc_id"])
            result.append(
                ScoreLine(
                    task,
                    doc,
                    sample["filter"],
                    keys[task, doc],
                    answer if isinstance(answer, str) else str(answer),
                    str(sample["target"]),
                    {name: float(value) for name, value in numbers.items()},
                )
            )
    return sorted(result, key=lambda line: (line.task, line.doc, line.filter))


def figures_of(found: Mapping[str, Any], scores: Sequence[ScoreLine]) -> list[TaskFigure]:
    """Return every metric of every task.  found: what lm-evaluation-harness returns."""
    result = []
    for task, metrics in found["results"].items():
        for name, value in metrics.items():
            metric, comma, how = name.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, (int, float)):
                continue
            values = [
                line.metrics[metric]
                for line in scores
                if line.task == task and line.filter == how and metric in line.metrics
            ]
            is_mean = bool(values) and np.isclose(np.mean(values), value)
            higher = found.get("higher_is_better", {}).get(task, {}).get(metric)
            result.append(
                TaskFigure(
                    task,
                    how,
                    metric,
                    figure(interval(values)) if is_mean else Figure(float(value)),
                    len(values),
                    {True: "higher", False: "lower"}.get(higher),
                )
            )
    return result


def _mean(values: Sequence[float]) -> Figure | None:
    return figure(interval(values)) if values else None


class Difference(msgspec.Struct, frozen=True):
    """One metric of a second evaluation minus that of a first, over the documents of both."""

    task: str
    filter: str
    metric: str
    figure: Figure
    only_first: tuple[int, ...]
    """documents that the first alone has right"""
    only_second: tuple[int, ...]


def differences(first: Sequence[ScoreLine], second: Sequence[ScoreLine]) -> list[Difference]:
    """Return the paired differences of all metrics that two evaluations have of the same documents."""
    pairs: dict[tuple[str, str, str], list[tuple[int, float, float]]] = {}
    others = {(line.task, line.doc, line.filter): line.metrics for line in second}
    for line in first:
        other = others.get((line.task, line.doc, line.filter), {})
        for metric in line.metrics.keys() & other.keys():
            values = line.doc, line.metrics[metric], other[metric]
            pairs.setdefault((line.task, line.filter, metric), []).append(values)
    return [
        Difference(
            *name, figure(interval([b - a for _, a, b in values])),
            tuple(doc for doc, a, b in values if a == 1 and b == 0),
            tuple(doc for doc, a, b in values if b == 1 and a == 0),
        )
        for name, values in sorted(pairs.items())
    ]  # fmt: skip


def read_task_results(home: Path) -> TaskResults:
    """Read results.json of a directory.  Raises ValueError if it is missing, damaged or of a later format."""
    return decoded(home / RESULTS, TaskResults)


def read_scores(home: Path) -> list[ScoreLine]:
    """Return the lines of scores.jsonl."""
    return [line for _, line in lines(home / SCORES, ScoreLine)]
