"""The items of an evaluation on tasks, each with its outcome and the command that replays it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from engine.evaluation.results import ITEMS
from engine.files.jsonl import lines
from engine.tasks.items import AnswerLine
from engine.tasks.results import ScoreLine, is_right_at_end, read_scores
from remdm_tui.reports.records import TaskEvaluation

OVERWRITTEN = "overwritten"
OUTCOMES = (OVERWRITTEN, "wrong", "unanswered", "right", "not judged")
"""In the order in which they are listed: what was right after a step, and not at the end, comes first."""


@dataclass(frozen=True)
class ReportItem:
    """One item, or one document whose choices were compared."""

    task: str
    doc: int
    key: str
    outcome: str
    """one of OUTCOMES"""
    steps: str
    """after which the answer was right, counted from 1; empty if that is unknown or there are none"""
    answer: str
    """as the task extracts it"""
    target: str
    text: str
    """all that was generated, or why nothing was"""
    network_calls: int
    tokens: int
    command: str
    """which replays it; empty where nothing was generated"""


def items(one: TaskEvaluation) -> list[ReportItem]:
    """Return all items by outcome, task and document. Raises ValueError for a file that cannot be read."""
    answers = {line.key: line for _, line in lines(one.home / ITEMS, AnswerLine)}
    scores = sorted(read_scores(one.home), key=_document)
    found = [item for _, group in groupby(scores, key=_document) for item in _items(one, list(group), answers)]
    return sorted(found, key=lambda item: (OUTCOMES.index(item.outcome), item.task, item.doc))


def _document(line: ScoreLine) -> tuple[str, int]:
    return line.task, line.doc


def _items(one: TaskEvaluation, scores: Sequence[ScoreLine], answers: Mapping[str, AnswerLine]) -> Iterator[ReportItem]:
    """Yield the items of one document, which has a line of scores for each filter."""
    first = scores[0]
    several = len(scores) > 1
    answer = "; ".join(f"{line.filter}: {line.answer}" if several else line.answer for line in scores)
    asked = [line for key in first.keys if (line := answers.get(key)) is not None]
    # the choices of a document are compared with each other, and are right or wrong together
    listed = [line for line in asked if line.ids or line.problem] or asked[:1]
    for line in listed:
        yield ReportItem(
            first.task, first.doc, line.key, _outcome(line, first), _steps(line), answer, first.target,
            line.problem or line.text, line.network_calls, line.tokens,
            f"remdm-tui watch --from {shlex.quote(str(one.home))} --item {line.key}" if line.ids else "",
        )  # fmt: skip


def _outcome(line: AnswerLine, score: ScoreLine) -> str:
    if line.problem:
        return "unanswered"
    if line.right is not None:
        return "right" if is_right_at_end(line) else OVERWRITTEN if line.right else "wrong"
    value = next(iter(score.metrics.values()), None)
    return "right" if value == 1 else "wrong" if value == 0 else "not judged"


def _steps(line: AnswerLine) -> str:
    spans = ", ".join(str(a + 1) if b == a + 1 else f"{a + 1}–{b}" for a, b in line.right or ())
    return f"{spans} of {line.steps}" if spans else ""
