"""The part of an evaluation that is the same for all tasks: one process of it, with its files and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from engine.evaluation.shards import Spent
from engine.evaluation.stopwatch import Stopwatch
from engine.models import TextModel
from engine.system.callbacks import ignore
from engine.system.ranks import Ranks
from engine.tasks.asking import TaskProgress, ask
from engine.tasks.items import AnswerLine, Item
from engine.tasks.plan import TaskPlan
from engine.tasks.results import ScoreLine, TaskResults
from engine.tasks.store import TaskStore


@dataclass
class AnswerJob:
    """One evaluation in one of its processes."""

    plan: TaskPlan
    store: TaskStore
    ranks: Ranks
    model: TextModel
    width: int
    start: str
    """names this start among all"""
    notice: Callable[[str], None] = ignore
    progress: Callable[[TaskProgress], None] = ignore
    clock: Callable[[], float] = time.monotonic
    notes: list[str] = field(default_factory=list)

    @property
    def is_first(self) -> bool:
        return self.ranks.rank == 0

    @contextmanager
    def measured(self) -> Iterator[Stopwatch]:
        """Gather the files of earlier starts, and record the time spent inside; all processes wait before and after."""
        shards = self.store.shards
        if self.is_first:
            self.store.gather(self.fault, self.notice)
            shards.sift_times(self.notice)
        self.ranks.wait()
        stopwatch = Stopwatch(shards.time_shard(self.ranks.rank), self._spent, self.clock)
        try:
            yield stopwatch
        finally:
            stopwatch.close()
        self.ranks.wait()

    def ask(
        self,
        items: Sequence[Item],
        answers: Callable[[Sequence[Item]], Iterator[AnswerLine]],
        stopwatch: Stopwatch,
    ) -> dict[str, AnswerLine]:
        """Return the answers to all items, of which this process finds a part."""
        seed = self.plan.sampling.seed
        return ask(self.store, self.ranks, seed, items, answers, stopwatch, self.progress, self.notice)

    def fault(self, line: AnswerLine) -> str | None:
        """Return why this plan cannot have made a line; None where it can."""
        seed, length = self.plan.sampling.seed, self.plan.sampling.length
        if line.seed not in (None, seed):
            return f"it is of seed {line.seed}, not {seed}"
        if len(line.ids) > length:
            return f"it has {len(line.ids)} tokens, more than {length}"
        if any(not 0 <= token < self.model.vocab_size for token in line.ids):
            return "it holds a token that the model does not have"
        return None

    def write(self, results: TaskResults, scores: Sequence[ScoreLine], answers: Mapping[str, AnswerLine]) -> None:
        """Write results and scores, and the answers besides those that the directory has of other items."""
        self.store.write(results, scores, {**self.store.answers(), **answers})

    def note(self, sentence: str) -> None:
        """Show a sentence, and keep it for the results."""
        self.notes.append(sentence)
        self.notice(sentence)

    def _spent(self, items: int, seconds: float, scoring_seconds: float) -> Spent:
        return Spent(self.start, self.ranks.rank, items, seconds, scoring_seconds, self.model.info.device)
