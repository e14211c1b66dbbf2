"""A process that judges answers to one item: `python -m engine.tasks.judge_answers DIR KEY`.

A line of standard input is a text as a JSON string; a line of standard output is its `AnswerVerdict`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec

from engine.system.streams import streams
from engine.tasks.code import CodeRunner, run_elsewhere
from engine.tasks.plan import SUDOKU, TaskPlan, read_task_plan
from engine.tasks.questions import AnswerVerdict, Question, read_question

TRUSTED, RUNS_CODE = "--trust-remote-code", "--allow-code-execution"


def answer_judge(
    plan: TaskPlan, question: Question, trusted: bool = False, runs_code: bool = False
) -> Callable[[str], AnswerVerdict]:
    """Return what judges texts as answers to a question.  Raises ValueError if its task cannot be read.

    trusted, runs_code: as in `load_tasks`.
    """
    if question.task == SUDOKU:
        from engine.tasks.sudoku import sudoku_judge

        return sudoku_judge(question.context)
    from lm_eval.api.instance import Instance

    from engine.tasks.items import until_stop
    from engine.tasks.judging import judged
    from engine.tasks.loading import load_tasks, runs_model_code

    settings = plan.tasks
    tasks = load_tasks(settings.sources, settings.num_fewshot, trusted, runs_code)
    if question.task not in tasks:
        raise ValueError(f"the evaluation has no task {question.task!r}: choose {', '.join(tasks)}")
    task = tasks[question.task]
    if runs_model_code(task):
        run_elsewhere(task, CodeRunner(settings.sources, question.task, settings.num_fewshot, trusted))
    doc = next(islice(task.eval_docs, question.doc, None), None)
    if doc is None:
        raise ValueError(f"the data of {question.task} has no document {question.doc}")
    request = Instance("generate_until", doc, (question.context, {"until": list(question.until)}), 0)
    target = str(task.doc_to_target(doc))

    def judge(text: str) -> AnswerVerdict:
        answer, right = judged(task, request, until_stop(text, question.until))
        return AnswerVerdict(answer if isinstance(answer, str) else str(answer), right, target)

    return judge


def main(arguments: list[str]) -> None:
    """Judge texts until the end of standard input."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    receive, out, restore = streams()
    try:
        home, key, *options = arguments
        judge = answer_judge(
            read_task_plan(Path(home)), read_question(Path(home), key), TRUSTED in options, RUNS_CODE in options
        )
        for line in receive:
            out.write(msgspec.json.encode(judge(json.loads(line))) + b"\n")
            out.flush()
    except (ValueError, OSError, ModuleNotFoundError) as error:
        sys.exit(" ".join(str(error).split()))
    finally:
        restore()


if __name__ == "__main__":
    main(sys.argv[1:])
