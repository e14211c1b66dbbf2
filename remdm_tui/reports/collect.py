"""Finds the evaluations below some directories, and groups those that may be compared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from engine.evaluation.results import ITEMS, RESULTS, SAMPLES, read_results
from engine.tasks.results import read_task_results
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.reader import evaluation_of
from remdm_tui.reports.records import Collection, Evaluation, Group, TaskEvaluation, TaskGroup
from remdm_tui.reports.series import series_of
from remdm_tui.reports.task_reader import task_evaluation_of

FILES = {RESULTS, SAMPLES, ITEMS, "settings.json"}
"""A directory with one of these files is that of an evaluation; nothing below it is searched."""


def collect(roots: Sequence[Path], conventions: str | None = None) -> Collection:
    """Return every evaluation at or below the directories, each once; links below them are not followed.

    conventions: the ones whose figures are shown; None: the primary ones of each evaluation.  Raises ValueError
    where a root is not a directory or there is nothing to show.
    """
    evaluations: list[Evaluation] = []
    answered: list[TaskEvaluation] = []
    remarks: list[str] = []
    for home in homes(roots):
        try:
            if not (home / RESULTS).exists():
                raise ValueError(f"{home} has no results yet; the same `eval` command continues it")
            if (home / ITEMS).exists():
                answered.append(task_evaluation_of(home, read_task_results(home)))
            else:
                evaluations.append(evaluation_of(home, read_results(home), conventions))
        except ValueError as error:
            remarks.append(sanitize(str(error), cells=True))
    if not evaluations and not answered:
        named = ", ".join(map(str, roots))
        raise ValueError(". ".join([*remarks, f"no evaluation to report on in {named}; `remdm-tui eval` makes one"]))
    terms = dict.fromkeys(e.terms for e in evaluations)
    groups = tuple(Group(t, series_of([e for e in evaluations if e.terms == t])) for t in terms)
    asked = dict.fromkeys(e.terms for e in answered)
    tasks = tuple(TaskGroup(t, series_of([e for e in answered if e.terms == t])) for t in asked)
    return Collection(groups, (*remarks, *_repeated(groups), *_repeated(tasks)), tasks)


def homes(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield the directories of evaluations at or below `roots`, each once.  Raises ValueError for one that is none."""
    seen: set[Path] = set()
    for root in roots:
        if not root.is_dir():
            raise ValueError(
                f"{root} is not a directory; give one that `remdm-tui eval --out` made, or one that holds some"
            )
        for path, below, files in os.walk(root):
            home = Path(path)
            if FILES & set(files):
                below.clear()
                if home.resolve() not in seen:
                    seen.add(home.resolve())
                    yield home
            else:
                below[:] = sorted((name for name in below if not name.startswith(".")), key=natural_key)


def natural_key(name: str) -> tuple[tuple[str, int], ...]:
    """Return a key that sorts steps=128 before steps=1024."""
    return tuple((text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", name))


def _repeated(groups: Iterable[Group | TaskGroup]) -> Iterator[str]:
    for point in (point for group in groups for series in group.series for point in series.points):
        for one, other in zip(point.evaluations, point.evaluations[1:]):
            if one.seed == other.seed:
                yield sanitize(f"{one.home} and {other.home} are the same setting and seed; both are shown", cells=True)


def why_not_one_plot(groups: Sequence[Group] | Sequence[TaskGroup]) -> str | None:
    """Return why the groups are not in one plot, in a sentence; None for one group."""
    if len(groups) < 2:
        return None
    names: list[str] = []
    for field in fields(groups[0].terms):
        values = list(dict.fromkeys(getattr(group.terms, field.name) for group in groups))
        if len(values) < 2 or (field.name == "judge_limit" and any(name.startswith("judge") for name in names)):
            continue
        if field.name == "sentences":
            names.append("what the conventions say")
        else:
            listed = " and ".join(f"{v:,}" if isinstance(v, int) else v for v in values)
            names.append(f"{field.name.replace('_', ' ')} ({listed})")
    return f"These evaluations differ in {'; '.join(names)}: their figures cannot be compared and are shown apart."
