"""Make results.json from scored samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from engine import __version__
from engine.evaluation.metrics import METRICS
from engine.evaluation.plan import EvalPlan
from engine.evaluation.results import (
    FORMAT,
    Calls,
    FailedSample,
    GenPPL,
    MauveResult,
    Metrics,
    Results,
    SampleLine,
    figure,
)
from engine.evaluation.scoring import text_scores
from engine.evaluation.shards import Spent, timing
from engine.metrics import diversity, entropy
from engine.metrics.bootstrap import interval
from engine.metrics.conventions import OF_LIKELIHOOD, conventions
from engine.metrics.generative_perplexity import pooled, read_limit
from engine.metrics.judge import Judge
from engine.metrics.mauve import Features, Mauve, mauve
from engine.text.counts import counted


@dataclass(frozen=True)
class FeaturePair:
    """The features of the samples and of the references, and the featurizer's name."""

    samples: Features
    references: Features
    featurizer: str


def results(
    plan: EvalPlan,
    steps: int,
    lines: Sequence[SampleLine],
    judge: Judge | None,
    compared: FeaturePair | None,
    failed: Sequence[FailedSample],
    spent: Sequence[Spent],
    notes: Sequence[str],
) -> Results:
    """Return the results of all samples, which are judged if there is a judge.

    steps: of one sample.  Raises ValueError if there are no samples.
    """
    if not lines:
        raise ValueError("no sample was finished, so there is nothing to report")
    per_sample = np.array([line.entropy for line in lines])
    of_tokens = entropy.entropy_summary(per_sample)
    metrics = {}
    for how in plan.scoring.conventions:
        ppl = None
        if judge is not None:
            limit = read_limit(judge, how, plan.sampling.length)
            found = pooled(judge.name, text_scores(lines, how, limit), of_tokens, how, plan.scoring.together)
            ppl = GenPPL(
                figure(found.perplexity), judge.name, found.tokens, found.texts, found.left_out, found.cut, limit
            )
        metrics[how] = Metrics(ppl, None if compared is None else _mauve(compared, how))
    varied = diversity.diversity([line.ids for line in lines])
    primary = plan.scoring.conventions[0]
    first = metrics[primary]
    time = timing(spent, len(lines), plan.sampling.tokens)
    return Results(
        format=FORMAT,
        version=__version__,
        settings=msgspec.to_builtins(plan),
        primary=primary,
        gen_ppl=first.gen_ppl.perplexity.value if first.gen_ppl else None,
        entropy=of_tokens.mean.value,
        mauve=first.mauve.value if first.mauve else None,
        network_calls=float(np.mean([line.network_calls for line in lines])),
        seconds=time.sampling_seconds + time.scoring_seconds,
        samples=len(lines),
        failed=tuple(failed),
        entropy_interval=figure(of_tokens.mean),
        distinct={str(n): value for n, value in varied.distinct.items()},
        repetition={str(n): value for n, value in varied.repetition.items()},
        calls=_calls(steps, lines),
        metrics=metrics,
        conventions={how: decisions(how) for how in plan.scoring.conventions},
        timing=time,
        notes=tuple(dict.fromkeys((*notes, *(note for each in spent for note in each.notes)))),
        measured={
            name: figure(interval(_values(name, metric.measure(lines), lines)))
            for name, metric in METRICS.items()
            if metric.measure is not None
        },
    )


def _values(name: str, values: Sequence[float], lines: Sequence[SampleLine]) -> Sequence[float]:
    """Return a metric's values, one for each sample; raises ValueError that names the metric where they are not."""
    if len(values) != len(lines):
        raise ValueError(
            f"the metric {name} has {counted(len(values), 'value')} for {counted(len(lines), 'sample')}: its measure "
            "must return one for each"
        )
    for line, value in zip(lines, values, strict=True):
        if not math.isfinite(value):
            raise ValueError(f"the metric {name} is {value} for sample {line.number}: its measure must return numbers")
    return values


def decisions(how: str) -> tuple[str, ...]:
    """Return the sentences of a set of conventions that figures of samples depend on."""
    return tuple(sentence for name, sentence in conventions(how).decisions.items() if name not in OF_LIKELIHOOD)


def _mauve(compared: FeaturePair, how: str) -> MauveResult:
    found: Mauve = mauve(compared.samples, compared.references, how, featurizer=compared.featurizer)
    return MauveResult(
        value=found.value,
        deviation=found.deviation,
        by_seed={str(seed): value for seed, value in found.by_seed.items()},
        featurizer=found.featurizer,
        samples=found.samples,
        references=found.references,
        empty=found.empty,
        buckets=found.buckets,
        warning=found.warning,
    )


def _calls(steps: int, lines: Sequence[SampleLine]) -> Calls:
    counts = [float(line.network_calls) for line in lines]
    mean = interval(counts)
    return Calls(int(sum(counts)), figure(mean), steps, calls_saved(mean.value, steps))


def calls_saved(calls: float, steps: int) -> float:
    """Return the share of one call a step that was not needed; 0 where steps take several."""
    return max(0.0, 1 - calls / steps)
