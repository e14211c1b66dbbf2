"""The plan of an evaluation on tasks: everything that decides its answers and its figures, and nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.evaluation.plan import PlannedModel, Sampling, change_lines, plan_differences
from engine.evaluation.settings_file import SETTINGS, read_plan, write_plan

SUDOKU = "sudoku"
"""The task that takes no lm-evaluation-harness."""


class TaskSettings(msgspec.Struct, frozen=True):
    """The tasks, and how their prompts are built and scored."""

    names: tuple[str, ...]
    sources: tuple[str, ...]
    """names and files by which the tasks were given"""
    digests: dict[str, str]
    """by task, of its configuration"""
    data: dict[str, str]
    """by task, digest of all its documents"""
    harness: str
    """version of lm-evaluation-harness; empty where it is not used"""
    draws: int
    """maskings of a continuation whose likelihood is not exact"""
    num_fewshot: int | None = None
    """None: as many as the task says"""
    chat: bool = False
    multiturn: bool = False
    """whether examples are turns of the conversation"""
    system_prompt: str | None = None
    limit: int | None = None
    """items of each task; another one keeps the answers"""


class TaskPlan(msgspec.Struct, frozen=True):
    """The content of settings.json."""

    model: PlannedModel
    sampling: Sampling
    """its length and steps are those of an answer"""
    tasks: TaskSettings


FREE = ("tasks.limit", "tasks.sources")
"""Settings that may change: they decide no answer."""


def read_task_plan(home: Path) -> TaskPlan:
    """Return the plan of a directory.  Raises ValueError if it is none of an evaluation on tasks."""
    found = read_plan(home, TaskPlan)
    if found is None:
        raise ValueError(f"{home} is not an evaluation on tasks: it has no {SETTINGS}")
    return found


def settle(home: Path, plan: TaskPlan) -> None:
    """Write the plan of a directory, or check that it is the one that is there.  Raises ValueError."""
    was = read_plan(home, TaskPlan)
    if was is None and any(home.glob("*.jsonl")):
        raise ValueError(f"{home} holds results of unknown settings: choose another --out")
    changed = [] if was is None else plan_differences(was, plan)
    if any(name not in FREE for name, _, _ in changed):
        raise ValueError(
            f"{home} holds an evaluation of other settings: choose another --out, or the old ones\n"
            + change_lines(changed)
        )
    if was != plan:
        write_plan(home, plan)
