"""Compute the likelihood of texts under a model in the three units of the field, with every setting it depends on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch

from engine import __version__
from engine.data.texts import Texts
from engine.evaluation.model_rows import Rows, model_rows
from engine.evaluation.results import Figure
from engine.evaluation.scores import RowScore, Scores, open_scores, save
from engine.metrics.bootstrap import Interval, interval
from engine.metrics.bounds import bound_of
from engine.metrics.conventions import conventions
from engine.metrics.likelihood import BATCH, Likelihood, check_rows, is_causal, likelihood_summary, sequence_nats
from engine.metrics.rule_likelihood import DecodingRule, rule_scores
from engine.models import TextModel
from engine.strategies import knob_files_digest, reads_of, source_digest, values
from engine.system.callbacks import ignore

FORMAT = 1
"""Of perplexity.json."""
SEED = 1
EXACT = "exact"
"""Name of the scores under a deterministic strategy, beside those of conventions."""
DECISIONS = {"bound": ("times", "masking", "intervals"), "exact": ("exact", "intervals")}
"""Conventions that a likelihood of this kind depends on, besides how documents are wrapped."""


@dataclass(frozen=True)
class PerplexityOptions:
    """The options of `perplexity`; the defaults are those of the command line and of model cards."""

    conventions: tuple[str, ...] = ("standard",)
    """the first is the primary one"""
    layout: str | None = None
    windows: int | None = None
    length: int | None = None
    limit: int | None = None
    """rows at most"""
    seed: int = SEED
    weights: str = ""
    """a fingerprint of the checkpoint, where scores are kept"""
    rule: DecodingRule | None = None
    """a deterministic strategy, under which the rows of the primary conventions have an exact likelihood besides"""


@dataclass(frozen=True)
class PerplexityProgress:
    """The progress of scoring."""

    conventions: str
    done: int
    total: int
    """rows under all conventions"""
    nats: float
    """a token, averaged over the rows so far under these conventions"""
    kept: int
    """rows that an earlier start had scored"""
    batch: int
    """rows in the network at once, fewer than requested where the device ran out of memory"""


Report = Callable[[PerplexityProgress], None]


class Measured(msgspec.Struct, frozen=True):
    """The figures under one set of conventions."""

    kind: Literal["bound", "exact"]
    bound: str | None
    """by name, such as SUBS or score entropy; None of an exact value"""
    nll: Figure
    """nats a token"""
    bpd: Figure
    """bits a token"""
    ppl: Figure
    rows: int
    tokens: int
    """scored, each counted once a row"""
    network_calls: int
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        nll, bpd, ppl = format_figure(self.nll, 4), format_figure(self.bpd, 4), format_figure(self.ppl, 2)
        return f"{nll} nats a token, {bpd} bits a token, perplexity {ppl}"


class Perplexity(msgspec.Struct, frozen=True, omit_defaults=True):
    """perplexity.json.  The plain numbers are those of the `primary` conventions."""

    format: int
    version: str
    settings: dict[str, Any]
    primary: str
    nll: float
    bpd: float
    ppl: float
    conventions: dict[str, Measured]
    rule: Measured | None = None
    """under the deterministic strategy of the settings"""


def format_figure(figure: Figure, digits: int) -> str:
    """Return `4.4712 (4.4301 to 4.5120)`, or the number alone where there is no interval."""
    bounds = "" if figure.low is None else f" ({figure.low:.{digits}f} to {figure.high:.{digits}f})"
    return f"{figure.value:.{digits}f}{bounds}"


def perplexity(
    model: TextModel,
    texts: Texts,
    options: PerplexityOptions,
    *,
    batch: int = BATCH,
    out: Path | None = None,
    report: Report = ignore,
    notice: Callable[[str], None] = ignore,
) -> Perplexity:
    """Return the perplexity of texts under a model, resuming from the scores in `out` where a run was interrupted.

    batch: rows in the network at once; halved when the device runs out of memory.  report: called after every batch.
    notice: called with a sentence for a damaged line of scores, which is computed again.  Raises ValueError for text
    that fills no row or that the model cannot read, for other settings than those of `out`, and if the network
    returns NaN.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1, not {batch}")
    rows = {
        how: model_rows(
            model, texts, layout=options.layout, windows=options.windows, length=options.length, limit=options.limit,
            together=conventions(how).wrapped_together,
        )
        for how in dict.fromkeys(options.conventions)
    }  # fmt: skip
    for one in rows.values():
        check_rows(model, torch.from_numpy(one.tokens), range(len(one.tokens)))
    settings = perplexity_settings(model, texts, options, rows)
    totals = {how: len(one.tokens) for how, one in rows.items()}
    primary = next(iter(rows))
    if options.rule is not None:
        totals[EXACT] = totals[primary]
    store: AbstractContextManager[Scores] = (
        nullcontext(Scores()) if out is None else open_scores(out, settings, totals, batch, notice)
    )
    with store as scores:
        kept = len(scores.known)
        for how, one in rows.items():
            on_rows = _row_reporter(report, sum(totals.values()), kept)
            batch = _score(model, how, one, options.seed, batch, scores, on_rows)
        ruled = None
        if options.rule is not None:
            on_rows = _row_reporter(report, sum(totals.values()), kept)
            _score_by_rule(model, options.rule, rows[primary], batch, scores, on_rows)
            ruled = _measured_by_rule(options.rule, rows[primary], scores.of(EXACT))
        found = {how: _measured(model, how, one, scores.of(how)) for how, one in rows.items()}
        best = found[primary]
        result = Perplexity(
            FORMAT, __version__, settings, primary, best.nll.value, best.bpd.value, best.ppl.value, found, ruled
        )  # fmt: skip
        if out is not None:
            save(out, result)
    return result


def perplexity_settings(
    model: TextModel, texts: Texts, options: PerplexityOptions, rows: dict[str, Rows]
) -> dict[str, Any]:
    """Return every setting that decides the result, by name; runs of equal settings resume each other."""
    by_rule = {} if options.rule is None else {"rule": _rule_settings(model, options.rule, rows)}
    return by_rule | {
        "model": model.name, "weights": options.weights, "dtype": model.info.dtype, "data": texts.source,
        "split": texts.split, "texts": len(texts.texts), "conventions": list(rows), "seed": options.seed,
        "layout": {how: one.layout for how, one in rows.items()},
        "rows": {how: len(one.tokens) for how, one in rows.items()},
        "length": {how: one.tokens.shape[1] for how, one in rows.items()},
        "digest": {how: one.digest for how, one in rows.items()},
        "bound": {how: None if is_causal(model) else bound_of(model, conventions(how)).name for how in rows},
        "decisions": {how: conventions(how).digest(likelihood=True) for how in rows},
    }  # fmt: skip


OnRows = Callable[[str, int, float, int], None]
"""A callback with (conventions, rows scored under all, nats a token so far under these, batch)."""


def _row_reporter(report: Report, total: int, kept: int) -> OnRows:
    return lambda how, done, nats, batch: report(PerplexityProgress(how, done, total, nats, kept, batch))


def _score(model: TextModel, how: str, rows: Rows, seed: int, batch: int, scores: Scores, report: OnRows) -> int:
    """Score the missing rows of these conventions; return the batch that fitted into memory."""

    def some(numbers: range) -> list[RowScore]:
        values, scored = sequence_nats(
            model, rows.tokens, numbers, how, seed=seed, batch=len(numbers), start=rows.start
        )  # fmt: skip
        return [RowScore(how, n, float(x), scored) for n, x in zip(numbers, values, strict=True)]

    return _score_rows(model, how, len(rows.tokens), some, batch, scores, report)


def _score_by_rule(
    model: TextModel, rule: DecodingRule, rows: Rows, batch: int, scores: Scores, report: OnRows
) -> None:
    """Score the missing rows under a deterministic strategy."""
    length = rows.tokens.shape[1]

    def some(numbers: range) -> list[RowScore]:
        found = rule_scores(model, rule, rows.tokens, numbers, batch=len(numbers))
        columns = zip(numbers, found.nats.tolist(), found.calls.tolist(), strict=True)
        return [RowScore(EXACT, n, nats / length, length, calls) for n, nats, calls in columns]

    _score_rows(model, EXACT, len(rows.tokens), some, batch, scores, report)


def _score_rows(
    model: TextModel, how: str, total: int, score: Callable[[range], list[RowScore]], batch: int, scores: Scores,
    report: OnRows,
) -> int:  # fmt: skip
    """Score the missing ones of `total` rows under a name; return the batch that fitted into memory."""
    known = [one.nats for one in scores.of(how)]
    while len(known) < total:
        numbers = range(len(known), min(len(known) + batch, total))
        try:
            found = score(numbers)
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
            batch //= 2
            continue
        except FloatingPointError as error:
            raise ValueError(f"{model.name}: {error}, counted from 0: it has no likelihood") from error
        values = [one.nats for one in found]
        _finite(model, numbers, values)
        scores.add(found)
        known += values
        report(how, len(scores.known), float(np.mean(known)), batch)
    return batch


def _finite(model: TextModel, numbers: Sequence[int], values: Sequence[float]) -> None:
    for number, value in zip(numbers, values, strict=True):
        if math.isinf(value):
            raise ValueError(f"{model.name} gives row {number}, counted from 0, probability 0: its perplexity is inf")


def _measured(model: TextModel, how: str, rows: Rows, scores: Sequence[RowScore]) -> Measured:
    found: Likelihood = likelihood_summary(model, np.array([s.nats for s in scores]), scores[0].tokens, how)
    names = (*DECISIONS[found.kind], *(("wrapped_together",) if rows.layout == "wrap" else ()))
    kinds = () if is_causal(model) else (bound_of(model, found.conventions).sentence,)
    return Measured(
        found.kind, found.bound, _figure(found.nats), _figure(found.bits), _figure(found.perplexity), found.sequences,
        found.tokens, found.network_calls,
        (rows.description, *kinds, *(found.conventions.decisions[name] for name in names)),
    )  # fmt: skip


def _measured_by_rule(rule: DecodingRule, rows: Rows, scores: Sequence[RowScore]) -> Measured:
    nats, calls, length = interval(np.array([s.nats for s in scores])), sum(s.calls for s in scores), scores[0].tokens
    bits, perplexity = nats.map(lambda x: x / math.log(2)), nats.map(lambda x: math.exp(x) if x < 700 else math.inf)
    name, steps = rule.strategy.name, length if rule.steps is None else rule.steps
    in_blocks = f", in blocks of {rule.block_length}" if rule.block_length else ""
    sentences = (
        f"The text's tokens are revealed as {name} would reveal its own in {steps:,} steps at most{in_blocks}, and the "
        "log-probabilities that they have then add up (DUEL, arXiv 2603.01367).",
        f"The network was called {calls:,} times, {calls / len(scores):,.1f} a row.",
    )
    return Measured(
        "exact", None, _figure(nats), _figure(bits), _figure(perplexity), len(scores), length * len(scores), calls,
        sentences,
    )  # fmt: skip


def _rule_settings(model: TextModel, rule: DecodingRule, rows: Mapping[str, Rows]) -> dict[str, Any]:
    length = next(iter(rows.values())).tokens.shape[1]
    settings = {
        "strategy": rule.strategy.name, "knobs": values(rule.strategy),
        "steps": length if rule.steps is None else rule.steps, "block_length": rule.block_length or 0,
    }  # fmt: skip
    digests = {
        "source": source_digest(rule.strategy.name),
        "files": knob_files_digest(rule.strategy.name, values(rule.strategy)),
        "head": model.loaded.quality_digest if "quality" in reads_of(rule.strategy) else None,
    }
    return settings | {name: digest for name, digest in digests.items() if digest is not None}


def _figure(one: Interval) -> Figure:
    return Figure(one.value, one.low, one.high, one.level)
