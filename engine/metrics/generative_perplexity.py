"""Generative perplexity under a judge, always with entropy: alone, it rewards repetition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.metrics.bootstrap import Interval, interval
from engine.metrics.conventions import Conventions, conventions
from engine.metrics.entropy import Entropy, entropy
from engine.metrics.judge import Judge


@dataclass(frozen=True, eq=False)
class TextScores:
    """A judge's scores of N texts."""

    nats: NDArray[np.float64]
    """sum over counted tokens, [N]"""
    tokens: NDArray[np.int64]
    """counted tokens, [N]; 0 for a text that has none"""
    cut: NDArray[np.bool_]
    """longer than what the judge read, [N]"""
    limit: int
    """tokens of a text read at most"""
    lengths: NDArray[np.int64]
    """tokens of each text that were read, [N]"""
    ends: NDArray[np.float64]
    """nats of one end token behind each text, [N]; nan where padding would not count"""

    @property
    def perplexities(self) -> NDArray[np.float64]:
        """Return the perplexity of each text, [N]; nan where no token counts."""
        counted = self.tokens > 0
        return np.where(counted, np.exp(self.nats / np.maximum(self.tokens, 1)), np.nan)


@dataclass(frozen=True, eq=False)
class GenerativePerplexity:
    """The figure, the entropy that it must be read with, and how both were computed."""

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
    length: int | None = None,
    batch: int = 1,
) -> GenerativePerplexity:
    """Return the figure of N texts, whose tokens in the model's own vocabulary are `ids`.

    how: a name of CONVENTIONS.  length: of the evaluated model's samples, in its tokens; None: the longest of `ids`.
    batch: texts that the reference judges at a time, which decides only what its last partial batch leaves out.
    Raises ValueError for no texts, or texts in which nothing can be scored.
    """
    if len(texts) != len(ids):
        raise ValueError(f"{len(texts)} texts have {len(ids)} sequences of tokens: give one for each")
    scores = padded(score_texts(judge, texts, how, length=length or max((np.size(row) for row in ids), default=0)))
    return pooled(judge.name, scores, entropy(ids), how, batch)


def texts_kept(count: int, how: str, batch: int = 1) -> int:
    """Return how many of `count` texts count, the first ones; batch: texts that the reference judges at a time."""
    if batch < 1:
        raise ValueError(f"a batch of the reference has at least 1 text, not {batch}")
    return count if conventions(how).partial_batch else count // batch * batch


def pooled(judge: str, scores: TextScores, of_tokens: Entropy, how: str, batch: int = 1) -> GenerativePerplexity:
    """Return the figure of scored texts and the entropy of their tokens.  Raises ValueError if no token counts."""
    total = len(scores.tokens)
    kept = texts_kept(total, how, batch)
    nats, tokens = scores.nats[:kept], scores.tokens[:kept]
    if not tokens.sum():
        raise ValueError(f"none of the {total} texts has a token that {judge} can score")
    return GenerativePerplexity(
        judge=judge,
        conventions=conventions(how),
        perplexity=interval(nats, tokens).map(_exp),
        entropy=of_tokens,
        tokens=int(tokens.sum()),
        texts=kept,
        left_out=total - kept,
        cut=int(scores.cut[:kept].sum()),
        limit=scores.limit,
        scores=scores,
    )


def score_texts(judge: Judge, texts: Sequence[str], how: str = "standard", *, length: int) -> TextScores:
    """Score each text by itself, without padding, which depends on all texts: `padded` adds it.

    length: of the evaluated model's samples, in its tokens, where the reference cuts a text.  Raises ValueError for no
    texts, or one that the judge's tokenizer rejects.
    """
    if not texts:
        raise ValueError("there are no texts to score")
    chosen, limit = conventions(how), read_limit(judge, how, length)
    whole = _judge_rows(judge, texts, chosen)
    rows = [row[:limit] for row in whole]
    lengths = np.array([len(row) for row in rows], np.int64)
    # only the first end token of the padding can count; a text cut at the limit is never padded
    padding = [judge.end] if chosen.padding_end and judge.end is not None else []
    rows = [row + padding if len(row) < limit else row for row in rows]
    size = judge.context if chosen.judged_piece is None else min(chosen.judged_piece, judge.context)
    pieces = [(i, row[at : at + size]) for i, row in enumerate(rows) for at in range(0, len(row), size)]
    nats, tokens, ends = np.zeros(len(rows)), np.zeros(len(rows), np.int64), np.full(len(rows), np.nan)
    read = np.zeros(len(rows), np.int64)
    for (i, piece), losses in zip(pieces, judge.nll([piece for _, piece in pieces]), strict=True):
        counted = _counted(judge, piece, len(losses), chosen)
        read[i] += len(piece)
        if read[i] > lengths[i] and len(losses):
            # the last token of this piece is padding
            ends[i] = losses[-1] if counted[-1] else np.nan
            losses, counted = losses[:-1], counted[:-1]
        nats[i] += losses[counted].sum()
        tokens[i] += counted.sum()
    cut = np.array([len(row) > limit for row in whole])
    return TextScores(nats, tokens, cut=cut, limit=limit, lengths=lengths, ends=ends)


def padded(scores: TextScores) -> TextScores:
    """Return the scores of all texts of an evaluation, those shorter than the longest with the end token behind them.

    Where the conventions count no padding, nothing changes.
    """
    counts = (scores.lengths < scores.lengths.max(initial=0)) & ~np.isnan(scores.ends)
    return replace(scores, nats=scores.nats + np.where(counts, scores.ends, 0), tokens=scores.tokens + counts)


def read_limit(judge: Judge, how: str, length: int) -> int:
    """Return how many of the judge's tokens of a text are read at most; length: of the evaluated model's samples."""
    if length < 1:
        raise ValueError(f"the length of the model's samples must be at least 1, got {length}")
    return length if conventions(how).cut_at_length else judge.context


def _judge_rows(judge: Judge, texts: Sequence[str], chosen: Conventions) -> list[list[int]]:
    """Return the judge's tokens of each text that these conventions include, before it is cut."""
    return [_up_to_end(judge, _with_start(judge, row, chosen), chosen) for row in judge.tokens(texts)]


def _with_start(judge: Judge, row: list[int], chosen: Conventions) -> list[int]:
    """Return the row after the judge's start token, if it has one and these conventions use it."""
    if not chosen.judge_start:
        return row
    first = next((i for i, token in enumerate(row) if token not in (judge.start, judge.end)), len(row))
    return ([] if judge.start is None else [judge.start]) + row[first:]


def _up_to_end(judge: Judge, row: list[int], chosen: Conventions) -> list[int]:
    """Return the row up to and with the first end token after the start, where nothing after it counts."""
    begin = int(chosen.judge_start and judge.start is not None)
    if chosen.after_end or judge.end is None or judge.end not in row[begin:]:
        return row
    return row[: row.index(judge.end, begin) + 1]


def _counted(judge: Judge, row: Sequence[int], scored: int, chosen: Conventions) -> NDArray[np.bool_]:
    """Return which of the scored tokens, those after the row's first, count: bool [scored]."""
    if not chosen.after_end or judge.end is None:
        return np.ones(scored, bool)
    end = np.asarray(row, np.int64) == judge.end
    # the first end token of a row, which counts, may be the one that it begins with
    return (~end | (np.cumsum(end) == 1))[len(row) - scored :]


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf
