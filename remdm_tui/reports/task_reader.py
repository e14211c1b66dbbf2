"""Reads the results of an evaluation on tasks for a report."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from engine.tasks.results import TaskResults
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.reader import EvalSettings, converted, evaluated, format_value
from remdm_tui.reports.records import TaskEvaluation, TaskTerms

DIGITS = 8
"""Of the digest by which configurations are told apart."""


class TaskEntries(msgspec.Struct, frozen=True):
    """The entries of `tasks` that a report needs; directories of earlier versions lack later ones."""

    names: tuple[str, ...]
    digests: dict[str, Any]
    data: dict[str, Any]
    harness: str
    draws: int
    num_fewshot: int | None = None
    chat: bool = False
    multiturn: bool = False
    system_prompt: str | None = None
    limit: int | None = None


class TaskEvalSettings(EvalSettings, frozen=True, kw_only=True):
    """The settings by part."""

    tasks: TaskEntries


def task_evaluation_of(home: Path, results: TaskResults) -> TaskEvaluation:
    """Return the evaluation in a directory. Raises ValueError where the results lack what a report needs."""
    settings = converted(home, results.settings, TaskEvalSettings)
    one = evaluated(home, settings)
    return TaskEvaluation(**vars(one), results=results, terms=_terms(settings.tasks, results.items))


def _terms(entries: TaskEntries, items: int) -> TaskTerms:
    content = json.dumps([entries.digests, entries.data], sort_keys=True)
    examples = "as many as the task says" if entries.num_fewshot is None else str(entries.num_fewshot)
    return TaskTerms(
        tasks=sanitize(", ".join(entries.names), cells=True),
        items=items,
        limit="none" if entries.limit is None else f"{entries.limit:,}",
        examples=f"{examples}, as turns" if entries.multiturn else examples,
        chat_template=format_value(entries.chat),
        system_prompt="none" if entries.system_prompt is None else format_value(entries.system_prompt),
        maskings=entries.draws,
        harness=sanitize(entries.harness, cells=True),
        configuration=hashlib.sha256(content.encode()).hexdigest()[:DIGITS],
    )
