"""Run an evaluation on tasks, on one process or many; killed and run again, it ends with the same files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine.evaluation.stopwatch import Stopwatch
from engine.system.version import __version__
from engine.tasks.asking import problem_notes
from engine.tasks.items import AnswerLine, Item, until_stop
from engine.tasks.job import AnswerJob
from engine.tasks.questions import Question, add_questions
from engine.tasks.responder import Responder
from engine.tasks.results import TaskResults, figures_of, score_lines, task_results


@dataclass
class TaskJob(AnswerJob):
    """An evaluation on tasks of lm-evaluation-harness."""

    tasks: Mapping[str, Any] = field(kw_only=True)
    """by name"""
    _answers: dict[str, AnswerLine] = field(default_factory=dict)
    _keys: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    _until: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """by item, the sequences before which its answer ends"""

    def run(self) -> TaskResults | None:
        """Return the results on rank 0, None on others."""
        from lm_eval.evaluator import evaluate

        from engine.tasks.harness import HarnessModel

        settings = self.plan.tasks
        with self.measured() as stopwatch:
            answer = partial(self._answer, stopwatch=stopwatch)
            found = evaluate(
                HarnessModel.of(self.model, answer), {"tasks": dict(self.tasks)}, limit=settings.limit,
                bootstrap_iters=0, system_instruction=settings.system_prompt, apply_chat_template=settings.chat,
                fewshot_as_multiturn=settings.multiturn, confirm_run_unsafe_code=True,
            )  # fmt: skip
        if not self.is_first:
            return None
        scores = score_lines(found, self._keys)
        results = task_results(
            self.plan, __version__, figures_of(found, scores), self._answers, self.store.shards.spent(),
            self._all_notes(),
        )  # fmt: skip
        self.write(results, scores, self._answers)
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
        if self.is_first:
            questions = [self._question(*pair) for pair in requested.items() if pair[0].kind == "generate"]
            self._until |= {one.key: one.until for one in questions}
            add_questions(self.store.home, questions)
        responder = Responder(
            self.model,
            self.plan.sampling,
            self.width,
            self.plan.tasks.draws,
            judge_of(self.tasks, requested),
            self.note,
        )
        found = self.ask(list(requested), responder.answers, stopwatch)
        self._answers |= found
        return found

    def _question(self, item: Item, request: Any) -> Question:
        from engine.tasks.harness import stops

        codec, ends = self.model.codec, tuple(sorted(self.model.ends))
        tokens = len(codec.encode(item.context, item.special))
        return Question(
            item.key, request.task_name, request.doc_id, item.context, tokens, stops(request), ends, item.special
        )

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
