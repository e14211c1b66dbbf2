"""Have the items of a task answered by all processes, each answer kept as it is finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from engine.evaluation.stopwatch import Stopwatch
from engine.files.jsonl import Appended
from engine.system.ranks import Ranks
from engine.tasks.items import AnswerLine, Item
from engine.tasks.results import is_right_at_end
from engine.tasks.store import TaskStore

NAMED = 10
"""Items that a sentence names."""


@dataclass(frozen=True)
class TaskProgress:
    """The progress of this process with its items."""

    done: int
    total: int
    right: int
    judged: int
    """items whose answer is right or wrong, of which `right` are right"""
    network_calls: int
    tokens: int


def ask(
    store: TaskStore,
    ranks: Ranks,
    seed: int,
    items: Sequence[Item],
    answers: Callable[[Sequence[Item]], Iterator[AnswerLine]],
    stopwatch: Stopwatch,
    progress: Callable[[TaskProgress], None],
    notice: Callable[[str], None],
) -> dict[str, AnswerLine]:
    """Return the answers to different items by key; those that the store has are not asked for again.

    answers: yields those of this process' part.  notice: called with a sentence for each damaged line of the store.
    """
    known = store.answers(notice=notice)
    # no process may append before all have read the answers
    ranks.wait()
    todo = [item for item in items if item.key not in known][ranks.rank :: ranks.world]
    kept = [known[item.key] for item in items if item.key in known]
    out = Appended[AnswerLine](store.shard(ranks.rank, ranks.world))
    try:
        total = len(kept) + len(todo)
        progress(_progress(kept, total))
        stopwatch.begin()
        for answer in answers(todo):
            line = msgspec.structs.replace(answer, seed=seed)
            out.add([line])
            stopwatch.sampled()
            kept.append(line)
            progress(_progress(kept, total))
    finally:
        out.close()
    ranks.wait()
    found = store.answers()
    return {item.key: found[item.key] for item in items}


def problem_notes(answers: Mapping[str, AnswerLine], names: Mapping[str, str]) -> list[str]:
    """Return a sentence for each kind of problem, which names its items; names: those of the items, by key."""
    by_problem: dict[str, list[str]] = {}
    for key, line in answers.items():
        if line.problem:
            by_problem.setdefault(line.problem, []).append(names[key])
    return [f"{len(found)} of {len(answers)} items ({_listed(found)}): {what}" for what, found in by_problem.items()]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")


def _progress(lines: list[AnswerLine], total: int) -> TaskProgress:
    judged = [line for line in lines if line.right is not None]
    return TaskProgress(
        len(lines),
        total,
        sum(map(is_right_at_end, judged)),
        len(judged),
        sum(line.network_calls for line in lines),
        sum(line.tokens for line in lines),
    )
