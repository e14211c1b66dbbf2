"""An item of an evaluation on tasks as a run to watch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.evaluation.results import ITEMS
from engine.tasks.plan import SUDOKU, read_task_plan
from engine.tasks.questions import read_question
from remdm_tui.commands.eval_sample import arguments_of
from remdm_tui.settings.puzzle import puzzle_prompt
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watched_item import WatchedItem


def arguments_of_item(
    home: Path, key: str, given: RunArguments, runs_code: bool = False
) -> tuple[RunArguments, WatchedItem]:
    """Return the arguments of `watch` for an item of the evaluation in `home`, and what its answer is judged by.

    Given arguments win, but for what decides the prompt.  Consent to run code that the model or the task brings is
    taken from `given`, never from the directory.  runs_code: whether the task may run what the model writes.  Raises
    ValueError.
    """
    if not (home / ITEMS).exists():
        raise ValueError(f"{home} holds no answers to tasks: watch a sample with --sample")
    plan, question = read_task_plan(home), read_question(home, key)
    if given.prompt is not None or given.prompt_literal is not None or given.chat is not None:
        raise ValueError("an item brings its own prompt: leave out --prompt and --chat")
    base = RunArguments(length=question.tokens + plan.sampling.length, first=int(question.key, 16) >> 1)
    if question.task == SUDOKU:
        base = replace(base, prompt=puzzle_prompt(question.context).prompt)
    else:
        base = replace(base, prompt_literal=question.context)
    arguments = arguments_of(home, plan.model, plan.sampling, base, given, digested=True)
    name = f"{question.task} {question.doc}"
    return arguments, WatchedItem(
        home,
        question.key,
        name,
        question.tokens,
        question.ends,
        question.special,
        given.trust_remote_code,
        runs_code,
    )
