"""Whether an answer to a request of a task is right, by the task's own filter and metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_eval.api.instance import Instance

from engine.tasks.harness import stops
from engine.tasks.items import Item, until_stop
from engine.tasks.responder import AnswerJudge


def judge_of(tasks: Mapping[str, Any], requests: Mapping[Item, Instance]) -> AnswerJudge:
    """Return what judges texts as answers to these requests of tasks."""

    def judge(item: Item, text: str) -> bool | None:
        request = requests[item]
        return is_right(tasks[request.task_name], request, until_stop(text, stops(request)))

    return judge


def is_right(task: Any, request: Instance, answer: str) -> bool | None:
    """Return whether the task's first metric gives an answer 1 behind its first filter; None if it gives neither 0
    nor 1.
    """
    return judged(task, request, answer)[1]


def judged(task: Any, request: Instance, answer: str) -> tuple[Any, bool | None]:
    """Return an answer behind the task's first filter, and whether it is right."""
    trial = Instance(
        request.request_type, request.doc, request.arguments, request.idx, request.metadata, resps=[answer]
    )
    first = task._filters[0]
    first.apply([trial])
    found = trial.filtered_resps[first.name]
    metrics = task.process_results(request.doc, [found])
    value = next(iter(metrics.values()), None)
    return found, bool(value) if isinstance(value, (int, float)) and value in (0, 1) else None
