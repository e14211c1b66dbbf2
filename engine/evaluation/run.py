"""Run an evaluation from its plan to its results: a generator of progress that can be killed and resumed.

Each rank draws the samples whose numbers are its own and scores pieces of them in turn; rank 0 puts the results
together.  Everything in memory is in a file as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.evaluation import drawing, scoring
from engine.evaluation.plan import EvalPlan
from engine.evaluation.results import FailedSample, Results, SampleLine
from engine.evaluation.store import FEATURES, EvalStore, Scored, Spent
from engine.evaluation.summary import FeaturePair, results
from engine.files.checksums import replace_checked
from engine.files.jsonl import Appended
from engine.metrics.diversity import repetition
from engine.metrics.judge import Featurizer
from engine.metrics.mauve import Features
from engine.models import TextModel
from engine.sampling.batch import AbandonedSample, Sample
from engine.sampling.figures import unigram_entropy
from engine.system.ranks import Ranks
from engine.text import infill

REPORTS = 5.0
"""Seconds between two records of the time spent."""


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
        spent = _Stopwatch(self)
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
            self.store.sift_times(self.notice)
            self.store.forget_failures()
            missing = set(range(self.plan.sampling.count)) - self.store.samples().keys()
            self.store.forget_scores_without(missing)
        self.ranks.wait()

    def fault(self, line: SampleLine) -> str | None:
        """Return why this plan cannot have made a line; None where it can."""
        return drawing.sample_fault(self.model, self.plan, self._prompt, line)

    # -- samples

    def _sample(self, spent: _Stopwatch) -> Iterator[EvalProgress]:
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
        out, failed = Appended[SampleLine](self.store.shard(ranks.rank, ranks.world)), self._failure_writer()
        calls, began = 0, self.clock()
        try:
            found = drawing.draw_samples(self.model, sampling, prompt, todo, self.width, failed, self._notice)
            for count, sample in enumerate(found, 1):
                line = self._line(sample)
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
                    saved=1 - calls / (count * steps),
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

    def _line(self, sample: Sample) -> SampleLine:
        ids = sample.tokens.tolist()
        return SampleLine(
            number=sample.number,
            seed=self.plan.sampling.seed,
            text=self.model.codec.decode(ids),
            ids=tuple(ids),
            network_calls=sample.network_calls,
            entropy=unigram_entropy(np.asarray(ids)),
            repetition=repetition(ids),
        )

    def _failure_writer(self) -> Callable[[AbandonedSample], None]:
        path = self.store.failure_shard(self.ranks.rank)

        def write(failed: AbandonedSample) -> None:
            file = Appended[FailedSample](path)
            file.add([FailedSample(*failed)])
            file.close()
            self.notice(
                f"sample {failed.number} failed: the network's logits at step {failed.step}, position "
                f"{failed.position} are not finite"
            )

        return write

    def _notice(self, sentence: str) -> None:
        self.notes.append(sentence)
        self.notice(sentence)

    # -- scores

    def _score(self, spent: _Stopwatch) -> Iterator[EvalProgress]:
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
        known = self.store.scores()
        wants_features = readers.featurizer is not None
        ranks.wait()
        mine = [piece for turn, piece in enumerate(scoring.pieces(lines)) if turn % ranks.world == ranks.rank]
        total = sum(map(len, mine))

        def there(line: SampleLine) -> bool:
            return line.number in known or (
                (readers.judge is None or line.judged is not None) and (not wants_features or features_kept)
            )

        nats = tokens = done = 0.0
        out = Appended[Scored](self.store.score_shard(ranks.rank))
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
        if not self.store.has_scores:
            return
        samples = {line.number: line for line in lines}
        featurizer = self.readers.featurizer
        size = None if featurizer is None else self._reference_features(featurizer).points.shape[1]
        self.store.sift_scores(
            lambda line: scoring.score_fault(line, samples.get(line.number), self.readers, self.plan, size), self.notice
        )

    def _features_fit(self, lines: Sequence[SampleLine]) -> bool:
        """Return whether the features that an earlier start wrote are of these samples and this featurizer."""
        path, featurizer = self.store.home / FEATURES, self.readers.featurizer
        if featurizer is None or not path.exists():
            return False
        points = self.store.features()
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
        store, readers, scores = self.store, self.readers, self.store.scores()
        lines = scoring.padded_lines([_judged(line, scores) for line in self._lines()], self.plan.scoring)
        compared = None if readers.featurizer is None else self._compared(readers.featurizer, lines, scores)
        store.gather()
        store.write_samples(lines)
        found = results(
            self.plan, self._steps(), lines, readers.judge, compared, store.failures(), store.spent(), self.notes
        )
        store.write_results(found)
        store.forget_score_shards()
        self.results = found

    def _compared(self, featurizer: Featurizer, lines: Sequence[SampleLine], scores: dict[int, Scored]) -> FeaturePair:
        path = self.store.home / FEATURES
        if all(line.number in scores for line in lines):
            points = scoring.points([scores[line.number].features for line in lines])
            replace_checked(path, _npy(points))
        else:
            points = np.load(path)
        references = self._reference_features(featurizer)
        return FeaturePair(Features(points, len(lines) - len(points)), references, featurizer.name)


class _Stopwatch:
    """Record the time spent every few seconds, so that a killed process has recorded nearly all of it."""

    def __init__(self, job: EvalJob) -> None:
        self._job, self._file = job, Appended[Spent](job.store.time_shard(job.ranks.rank))
        self._mark = self._recorded = job.clock()
        self._samples, self._seconds, self._is_scoring = 0, {"sampling": 0.0, "scoring": 0.0}, False

    def sampled(self) -> None:
        self._samples += 1
        self.worked()

    def scoring(self) -> None:
        # the time since the last sample was spent waiting
        self._mark, self._is_scoring = self._job.clock(), True

    def worked(self) -> None:
        now = self._job.clock()
        self._seconds["scoring" if self._is_scoring else "sampling"] += now - self._mark
        self._mark = now
        if now - self._recorded > REPORTS:
            self._record()

    def _record(self) -> None:
        self._recorded = self._job.clock()
        job = self._job
        self._file.add(
            [
                Spent(
                    job.start, job.ranks.rank, self._samples, self._seconds["sampling"], self._seconds["scoring"],
                    job.model.info.device, tuple(job.notes),
                )
            ]
        )  # fmt: skip

    def close(self) -> None:
        self._record()
        self._file.close()


def _judged(line: SampleLine, scores: dict[int, Scored]) -> SampleLine:
    found = scores.get(line.number)
    return line if found is None or found.judged is None else msgspec.structs.replace(line, judged=found.judged)


def _npy(points: NDArray[np.float32]) -> bytes:
    file = BytesIO()
    np.save(file, points)
    return file.getvalue()


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
