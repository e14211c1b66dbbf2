"""Generative perplexity under a judge, never without entropy beside it: alone, it rewards repetition."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.metrics.bootstrap import Interval, interval
from engine.metrics.conventions import Conventions, conventions
from engine.metrics.entropy import Entropy, entropy
from engine.metrics.judge import Judge

BATCH = 8
"""Texts that the reference's judge scores together, which decides only what its last partial batch leaves out."""


@dataclass(frozen=True, eq=False)
class TextScores:
    """What a judge says of each of N texts."""

    nats: NDArray[np.float64]
    """sum over counted tokens, [N]"""
    tokens: NDArray[np.int64]
    """counted tokens, [N]; 0 for a text that has none or was left out"""
    cut: NDArray[np.bool_]
    """longer than what the judge read, [N]"""
    kept: NDArray[np.bool_]
    """false in a last partial batch where the conventions drop it, [N]"""
    limit: int
    """tokens of a text read at most"""

    @property
    def perplexities(self) -> NDArray[np.float64]:
        """One for each text, [N]; nan where no token counts."""
        counted = self.tokens > 0
        return np.where(counted, np.exp(self.nats / np.maximum(self.tokens, 1)), np.nan)


@dataclass(frozen=True, eq=False)
class GenerativePerplexity:
    """The figure, the entropy that it must be read with, and how both came about."""

    judge: str
    conventions: Conventions
    perplexity: Interval
    """exp of nats a token, pooled over tokens"""
    entropy: Entropy
    """of the model's own tokens"""
    tokens: int
    """that count"""
    texts: int
    """that count"""
    left_out: int
    """texts of a last partial batch"""
    cut: int
    """texts that the judge did not read to their end"""
    limit: int
    scores: TextScores


def generative_perplexity(
    judge: Judge,
    texts: Sequence[str],
    ids: Sequence[ArrayLike],
    how: str = "standard",
    *,
    batch: int = BATCH,
    together: int | None = None,
) -> GenerativePerplexity:
    """Of N texts, whose tokens in the model's own vocabulary are `ids`.

    how: a name of CONVENTIONS.  batch: texts that the reference scores at a time.  together: texts that it samples
    and pads at a time; None: all.  Raises ValueError for no texts, or texts in which nothing can be scored.
    """
    if len(texts) != len(ids):
        raise ValueError(f"{len(texts)} texts have {len(ids)} sequences of tokens: give one for each")
    scores = score_texts(judge, texts, how, batch=batch, together=together)
    return pooled(judge.name, scores, entropy(ids), how)


def pooled(judge: str, scores: TextScores, beside: Entropy, how: str) -> GenerativePerplexity:
    """The figure of texts that were scored before."""
    counted = int(scores.tokens.sum())
    if counted == 0:
        raise ValueError(f"none of the {len(scores.tokens)} texts has a token that {judge} can score")
    kept = scores.kept
    return GenerativePerplexity(
        judge=judge,
        conventions=conventions(how),
        perplexity=interval(scores.nats[kept], scores.tokens[kept]).map(_exp),
        entropy=beside,
        tokens=counted,
        texts=int(kept.sum()),
        left_out=int((~kept).sum()),
        cut=int(scores.cut.sum()),
        limit=scores.limit,
        scores=scores,
    )


def score_texts(
    judge: Judge, texts: Sequence[str], how: str = "standard", *, batch: int = BATCH, together: int | None = None
) -> TextScores:
    """Each text by itself.  Raises ValueError for no texts, or one that the judge's tokenizer rejects."""
    if not texts:
        raise ValueError("there are no texts to score")
    if batch < 1 or (together is not None and together < 1):
        raise ValueError(f"batch and together must be at least 1, got {batch} and {together}")
    chosen = conventions(how)
    limit = min(chosen.judged_tokens or judge.context, judge.context)
    whole = [_ended(judge, _begun(judge, row, chosen), chosen) for row in judge.tokens(texts)]
    rows = [row[:limit] for row in whole]
    kept = np.ones(len(rows), bool)
    for group in _groups(len(rows), together or len(rows)):
        size = min(batch, len(group))
        if not chosen.partial_batch:
            kept[group.start + len(group) // size * size : group.stop] = False
        if chosen.padding_end and judge.end is not None:
            longest = max(len(rows[i]) for i in group)
            for i in group:
                rows[i] = rows[i] + [judge.end] * (len(rows[i]) < longest)
    losses = judge.nll([row if keep else [] for row, keep in zip(rows, kept, strict=True)])
    counted = [_counted(judge, row, len(loss), chosen) for row, loss in zip(rows, losses, strict=True)]
    return TextScores(
        nats=np.array([loss[count].sum() for loss, count in zip(losses, counted, strict=True)], np.float64),
        tokens=np.array([count.sum() for count in counted], np.int64),
        cut=np.array([len(row) > limit for row in whole]) & kept,
        kept=kept,
        limit=limit,
    )


def _groups(count: int, size: int) -> Iterator[range]:
    return (range(first, min(first + size, count)) for first in range(0, count, size))


def _begun(judge: Judge, row: list[int], chosen: Conventions) -> list[int]:
    """Behind the judge's start token, if it wants one and the conventions do."""
    if not chosen.judge_start:
        return row
    first = next((i for i, token in enumerate(row) if token not in (judge.start, judge.end)), len(row))
    return ([] if judge.start is None else [judge.start]) + row[first:]


def _ended(judge: Judge, row: list[int], chosen: Conventions) -> list[int]:
    """Up to and with the first end token behind the start, where nothing after it counts."""
    begin = int(chosen.judge_start and judge.start is not None)
    if chosen.after_end or judge.end is None or judge.end not in row[begin:]:
        return row
    return row[: row.index(judge.end, begin) + 1]


def _counted(judge: Judge, row: Sequence[int], scored: int, chosen: Conventions) -> NDArray[np.bool_]:
    """Which of the scored tokens, those behind the row's first, count: [scored]."""
    if not chosen.after_end or judge.end is None:
        return np.ones(scored, bool)
    end = np.asarray(row, np.int64) == judge.end
    # the first end token of a row may be the one that it begins with
    return (~end | (np.cumsum(end) == 1))[len(row) - scored :]


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf
