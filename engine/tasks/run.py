"""Run an evaluation on tasks, on one process or many; killed and run again, it ends with the same files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine.evaluation.shards import Spent
from engine.evaluation.stopwatch import Stopwatch
from engine.models import TextModel
from engine.system.callbacks import ignore
from engine.system.ranks import Ranks
from engine.system.version import __version__
from engine.tasks.asking import TaskProgress, ask, problem_notes
from engine.tasks.items import AnswerLine, Item, until_stop
from engine.tasks.plan import TaskPlan
from engine.tasks.questions import Question, add_questions
from engine.tasks.responder import Responder
from engine.tasks.results import TaskResults, figures_of, score_lines, task_results
from engine.tasks.store import TaskStore


@dataclass
class TaskJob:
    """One evaluation in one of its processes."""

    plan: TaskPlan
    tasks: Mapping[str, Any]
    """those of lm-evaluation-harness, by name"""
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
    _answers: dict[str, AnswerLine] = field(default_factory=dict)
    _keys: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    _until: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """by item, the sequences before which its answer ends"""

    def run(self) -> TaskResults | None:
        """Return the results on rank 0, None on others."""
        from lm_eval.evaluator import evaluate

        from engine.tasks.harness import HarnessModel

        settings, shards = self.plan.tasks, self.store.shards
        if self.ranks.rank == 0:
            self.store.gather(self.notice)
            shards.sift_times(self.notice)
        self.ranks.wait()
        stopwatch = Stopwatch(shards.time_shard(self.ranks.rank), self._spent, self.clock)
        answer = partial(self._answer, stopwatch=stopwatch)
        try:
            found = evaluate(
                HarnessModel.of(self.model, answer), {"tasks": dict(self.tasks)}, limit=settings.limit,
                bootstrap_iters=0, system_instruction=settings.system_prompt, apply_chat_template=settings.chat,
                fewshot_as_multiturn=settings.multiturn, confirm_run_unsafe_code=True,
            )  # fmt: skip
        finally:
            stopwatch.close()
        self.ranks.wait()
        if self.ranks.rank != 0:
            return None
        scores = score_lines(found, self._keys)
        results = task_results(
            self.plan, __version__, figures_of(found, scores), self._answers, shards.spent(), self._all_notes()
        )
        self.store.write(results, scores, {**self.store.answers(), **self._answers})
        return results

    def _answer(
        self, items: Sequence[Item], requests: Sequence[Any], *, stopwatch: Stopwatch
    ) -> Mapping[str, AnswerLine]:
        """Return the answers to all items, of which this process finds a part."""
        from engine.tasks.judging import judge_of

        requested = dict(zip(items, requests, strict=True))
        for item, request in zip(items, requests, strict=True):
            doc = (request.task_name, request.doc_id)
            self._keys[doc] = (*self._keys.get(doc, ()), item.key)
        if self.ranks.rank == 0:
            questions = [self._question(*pair) for pair in requested.items() if pair[0].kind == "generate"]
            self._until |= {one.key: one.until for one in questions}
            add_questions(self.store.home, questions)
        responder = Responder(
            self.model,
            self.plan.sampling,
            self.width,
            self.plan.tasks.draws,
            judge_of(self.tasks, requested),
            self._note,
        )
        mine = ask(
            self.store, self.ranks, list(requested), responder.answers, stopwatch, self.progress, self.notice
        )  # fmt: skip
        self._answers |= mine
        return mine

    def _question(self, item: Item, request: Any) -> Question:
        from engine.tasks.harness import stops

        codec, ends = self.model.codec, tuple(sorted(self.model.ends))
        tokens = len(codec.encode(item.context, item.special))
        return Question(
            item.key, request.task_name, request.doc_id, item.context, tokens, stops(request), ends, item.special
        )

    def _spent(self, items: int, seconds: float, scoring_seconds: float) -> Spent:
        return Spent(self.start, self.ranks.rank, items, seconds, scoring_seconds, self.model.info.device)

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        self.notice(sentence)

    def _all_notes(self) -> list[str]:
        """Return the notes of this run, and a sentence for each kind of problem, which names its items."""
        names = {key: f"{task} {doc}" for (task, doc), keys in self._keys.items() for key in keys}
        total, notes = len(self._answers), problem_notes(self._answers, names)
        whole = [line for line in self._answers.values() if line.ids and self._is_cut_off(line)]
        if whole:
            reason = "hold neither a stop sequence nor an end of text: they are cut off at --length"
            notes.append(f"{len(whole)} of {total} answers {reason}")
        return [*self.notes, *notes]

    def _is_cut_off(self, line: AnswerLine) -> bool:
        return line.tokens == len(line.ids) and until_stop(line.text, self._until[line.key]) == line.text
