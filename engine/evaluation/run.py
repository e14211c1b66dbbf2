"""Run an evaluation from its plan to its results: a generator of progress that can be killed and resumed.

Each rank draws the samples whose numbers are its own and scores pieces of them in turn; rank 0 puts the results
together.  Everything in memory is in a file as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from engine.evaluation import drawing, scoring
from engine.evaluation.features_file import FEATURES, read_features, write_features
from engine.evaluation.plan import EvalPlan
from engine.evaluation.results import FailedSample, Results, SampleLine
from engine.evaluation.shards import Scored, Spent
from engine.evaluation.stopwatch import Stopwatch
from engine.evaluation.store import EvalStore
from engine.evaluation.summary import FeaturePair, calls_saved, results
from engine.files.jsonl import Appended
from engine.metrics.judge import Featurizer
from engine.metrics.mauve import Features
from engine.models import TextModel
from engine.sampling.batch import AbandonedSample
from engine.system.ranks import Ranks
from engine.text import infill


@dataclass(frozen=True)
class EvalProgress:
    """The progress of this process with its samples."""

    stage: str
    """the current stage, in a few words"""
    done: int
    total: int
    kept: int = 0
    """done before this start"""
    tokens_per_second: float = 0.0
    saved: float = 0.0
    """share of network calls not needed, of the samples of this start"""
    entropy: float = float("nan")
    """mean over the samples so far"""
    gen_ppl: float = float("nan")
    """under the primary conventions, of what is scored so far"""


@dataclass
class EvalJob:
    """One evaluation in one of its processes.

    references: called for the references' features once there are samples to compare with them.
    """

    plan: EvalPlan
    store: EvalStore
    ranks: Ranks
    model: TextModel
    width: int
    start: str
    """names this start among all"""
    readers: scoring.Readers
    references: Callable[[Featurizer], Features]
    notice: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    notes: list[str] = field(default_factory=list)
    results: Results | None = None
    """on rank 0, once the evaluation has finished"""
    _references_cache: Features | None = None

    def run(self) -> Iterator[EvalProgress]:
        """Yield progress until the evaluation is finished; `results` holds the outcome on rank 0."""
        self._begin()
        spent = Stopwatch(self.store.shards.time_shard(self.ranks.rank), self._spent, self.clock)
        try:
            yield from self._sample(spent)
            yield from self._wait_for_all()
            yield from self._score(spent)
        finally:
            spent.close()
        yield from self._wait_for_all()
        if self.ranks.rank == 0:
            yield EvalProgress("putting together", 0, 0)
            self._finish()
        self.ranks.wait()

    def _wait_for_all(self) -> Iterator[EvalProgress]:
        if self.ranks.world > 1:
            yield EvalProgress("waiting for the other processes", 0, 0)
        self.ranks.wait()

    def _begin(self) -> None:
        if self.ranks.rank == 0:
            self.store.gather(self.fault, self.notice)
            self.store.shards.sift_times(self.notice)
            self.store.shards.forget_failures()
            missing = set(range(self.plan.sampling.count)) - self.store.samples().keys()
            self.store.forget_scores_without(missing)
        self.ranks.wait()

    def fault(self, line: SampleLine) -> str | None:
        """Return why this plan cannot have made a line; None where it can."""
        return drawing.sample_fault(self.model, self.plan, self._prompt, line)

    # -- samples

    def _sample(self, spent: Stopwatch) -> Iterator[EvalProgress]:
        sampling, ranks = self.plan.sampling, self.ranks
        mine = range(ranks.rank, sampling.count, ranks.world)
        finished = {number: line for number, line in self.store.samples().items() if number < sampling.count}
        # no process may append before all have read the samples
        ranks.wait()
        todo = [number for number in mine if number not in finished]
        kept = len(mine) - len(todo)
        entropies = [finished[number].entropy for number in mine if number in finished]
        yield EvalProgress("sampling", kept, len(mine), kept, entropy=_mean(entropies))
        if not todo:
            return
        prompt, steps = self._prompt, self._steps()
        out = Appended[SampleLine](self.store.shard(ranks.rank, ranks.world))
        calls, began = 0, self.clock()
        try:
            found = drawing.draw_samples(self.model, sampling, prompt, todo, self.width, self._failed, self._notice)
            for count, sample in enumerate(found, 1):
                line = drawing.sample_line(self.model, sampling.seed, sample)
                out.add([line])
                if count == 1 and self.readers.judge is not None:
                    # report a text that the tokenizer rejects now, not once all samples are drawn
                    self.readers.judge.tokens([line.text])
                spent.sampled()
                entropies.append(line.entropy)
                calls += line.network_calls
                yield EvalProgress(
                    "sampling", kept + count, len(mine), kept,
                    tokens_per_second=count * sampling.tokens / max(self.clock() - began, 1e-9),
                    saved=calls_saved(calls / count, steps),
                    entropy=_mean(entropies),
                )  # fmt: skip
        finally:
            out.close()

    @cached_property
    def _prompt(self) -> list[int]:
        """Return the tokens that every sample begins with; cached, as rendering a chat template starts a process."""
        sampling = self.plan.sampling
        return self.model.prompt(sampling.prompt, sampling.chat, sampling.infill)

    def _steps(self) -> int:
        """Return the number of steps of one sample."""
        return drawing.steps_of(self.plan.sampling, infill.fixed(self._prompt, self.model.mask_id))

    def _failed(self, failed: AbandonedSample) -> None:
        """Note a sample that the network has failed at."""
        self.store.shards.add_failure(self.ranks.rank, FailedSample(*failed))
        self.notice(
            f"sample {failed.number} failed: the network's logits at step {failed.step}, position "
            f"{failed.position} are not finite"
        )

    def _spent(self, samples: int, sampling_seconds: float, scoring_seconds: float) -> Spent:
        device, notes = self.model.info.device, tuple(self.notes)
        return Spent(self.start, self.ranks.rank, samples, sampling_seconds, scoring_seconds, device, notes)

    def _notice(self, sentence: str) -> None:
        self.notes.append(sentence)
        self.notice(sentence)

    # -- scores

    def _score(self, spent: Stopwatch) -> Iterator[EvalProgress]:
        ranks, plan, readers = self.ranks, self.plan.scoring, self.readers
        if readers == scoring.Readers(None, None):
            return
        spent.scoring()
        lines = self._lines()
        fits = False
        if ranks.rank == 0:
            self._sift_scores(lines)
            fits = self._features_fit(lines)
        # rank 0 has removed bad scores before it broadcasts
        features_kept = ranks.broadcast(fits)
        known = self.store.shards.scores()
        wants_features = readers.featurizer is not None
        ranks.wait()
        mine = [piece for turn, piece in enumerate(scoring.pieces(lines)) if turn % ranks.world == ranks.rank]
        total = sum(map(len, mine))

        def there(line: SampleLine) -> bool:
            return line.number in known or (
                (readers.judge is None or line.judged is not None) and (not wants_features or features_kept)
            )

        nats = tokens = done = 0.0
        out = Appended[Scored](self.store.shards.score_shard(ranks.rank))
        try:
            for piece in mine:
                if not all(map(there, piece)):
                    found = self._scored(piece)
                    known |= {each.number: each for each in found}
                    out.add(found)
                spent.worked()
                done += len(piece)
                for line in piece:
                    judged = known[line.number].judged if line.number in known else line.judged
                    if judged:
                        nats += judged[plan.conventions[0]].nats
                        tokens += judged[plan.conventions[0]].tokens
                yield EvalProgress(
                    "scoring", int(done), total, entropy=_mean([line.entropy for line in lines]),
                    gen_ppl=float(np.exp(min(nats / tokens, 700))) if tokens else float("nan"),
                )  # fmt: skip
        finally:
            out.close()

    def _sift_scores(self, lines: Sequence[SampleLine]) -> None:
        """Remove the scores that these samples and readers cannot have."""
        if not self.store.shards.has_scores:
            return
        samples = {line.number: line for line in lines}
        featurizer = self.readers.featurizer
        size = None if featurizer is None else self._reference_features(featurizer).points.shape[1]
        self.store.shards.sift_scores(
            lambda line: scoring.score_fault(line, samples.get(line.number), self.readers, self.plan, size), self.notice
        )

    def _features_fit(self, lines: Sequence[SampleLine]) -> bool:
        """Return whether the features that an earlier start wrote are of these samples and this featurizer."""
        path, featurizer = self.store.home / FEATURES, self.readers.featurizer
        if featurizer is None or not path.exists():
            return False
        points = read_features(self.store.home)
        shape = (
            sum(map(bool, featurizer.tokens([line.text for line in lines]))),
            self._reference_features(featurizer).points.shape[1],
        )
        if points is not None and points.shape == shape:
            return True
        self.notice(f"{path} is not of these samples: it is written again")
        return False

    def _reference_features(self, featurizer: Featurizer) -> Features:
        """Return the features of the references, which are computed once."""
        if self._references_cache is None:
            self._references_cache = self.references(featurizer)
        return self._references_cache

    def _scored(self, piece: Sequence[SampleLine]) -> list[Scored]:
        """Return the scores of a piece; send a notice if the judge had to make its batches smaller."""
        before = getattr(self.readers.judge, "batch_tokens", None)
        found = scoring.scored(piece, self.readers, self.plan)
        after = getattr(self.readers.judge, "batch_tokens", None)
        if after != before:
            self._notice(f"the device's memory is full: the judge reads {after:,} tokens at a time from here on")
        return found

    def _lines(self) -> list[SampleLine]:
        return [line for number, line in self.store.samples().items() if number < self.plan.sampling.count]

    # -- results

    def _finish(self) -> None:
        """Write the final files; interrupted at any point and run again, it writes the same."""
        store, readers, scores = self.store, self.readers, self.store.shards.scores()
        lines = scoring.padded_lines([scoring.with_scores(line, scores) for line in self._lines()], self.plan.scoring)
        compared = None if readers.featurizer is None else self._compared(readers.featurizer, lines, scores)
        store.gather()
        store.write_samples(lines)
        failures, spent = store.shards.failures(), store.shards.spent()
        found = results(self.plan, self._steps(), lines, readers.judge, compared, failures, spent, self.notes)
        store.write_results(found)
        store.shards.forget_scores()
        self.results = found

    def _compared(self, featurizer: Featurizer, lines: Sequence[SampleLine], scores: dict[int, Scored]) -> FeaturePair:
        if all(line.number in scores for line in lines):
            points = scoring.points([scores[line.number].features for line in lines])
            write_features(self.store.home, points)
        else:
            points = np.load(self.store.home / FEATURES)
        references = self._reference_features(featurizer)
        return FeaturePair(Features(points, len(lines) - len(points)), references, featurizer.name)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
