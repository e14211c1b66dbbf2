"""What the judge and the featurizer say of samples, in pieces that are the same however the work is cut.

A piece is so many samples by number, scored in one go: a figure does not depend on which process took the piece or
what had been done before it was started again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.plan import Scoring
from engine.evaluation.results import Judged, SampleLine
from engine.evaluation.store import Scored
from engine.metrics.conventions import conventions
from engine.metrics.generative_perplexity import TextScores, score_texts
from engine.metrics.judge import Featurizer, Judge

PIECE = 16
"""Samples of one piece, or a little more where the reference's batches do not fit into it."""


@dataclass(frozen=True)
class Readers:
    """Who reads the samples; None where nobody is to."""

    judge: Judge | None
    featurizer: Featurizer | None


def pieces(lines: Sequence[SampleLine], together: int) -> Iterator[Sequence[SampleLine]]:
    """The samples, in their order, in pieces of whole batches of `together`."""
    size = -(-PIECE // together) * together
    return (lines[i : i + size] for i in range(0, len(lines), size))


def scored(piece: Sequence[SampleLine], readers: Readers, plan: Scoring) -> list[Scored]:
    """Each sample of a piece.  Raises ValueError for a text that the judge's tokenizer rejects."""
    texts = [line.text for line in piece]
    judged: list[dict[str, Judged] | None] = [None] * len(piece)
    if readers.judge is not None:
        found = {how: score_texts(readers.judge, texts, how, together=plan.together) for how in plan.conventions}
        judged = [{how: _judged(scores, i) for how, scores in found.items()} for i in range(len(piece))]
    points: list[bytes | None] = [None] * len(piece)
    if readers.featurizer is not None:
        points = _features(readers.featurizer, texts, plan)
    return [Scored(line.number, each, point) for line, each, point in zip(piece, judged, points, strict=True)]


def _judged(scores: TextScores, i: int) -> Judged:
    return Judged(float(scores.nats[i]), int(scores.tokens[i]), bool(scores.kept[i]), bool(scores.cut[i]))


def _features(featurizer: Featurizer, texts: Sequence[str], plan: Scoring) -> list[bytes | None]:
    """All conventions read as many tokens for features, so that one point a text serves them all."""
    limit = min(*(conventions(how).featured_tokens for how in plan.conventions), featurizer.context)
    rows = [row[:limit] for row in featurizer.tokens(texts)]
    where = [i for i, row in enumerate(rows) if row]
    found: list[bytes | None] = [None] * len(rows)
    for i, point in zip(where, featurizer.features([rows[i] for i in where]), strict=True):
        found[i] = point.astype("<f4").tobytes()
    return found


def points(found: Sequence[bytes | None]) -> NDArray[np.float32]:
    """Of the texts that have any, [N, D]."""
    rows = [np.frombuffer(each, "<f4") for each in found if each is not None]
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), np.float32)


def text_scores(lines: Sequence[SampleLine], how: str, limit: int) -> TextScores:
    """What was written of all samples, as the metrics take it.  limit: tokens of a text that the judge read."""
    found = [line.judged[how] for line in lines if line.judged is not None]
    return TextScores(
        nats=np.array([each.nats for each in found], np.float64),
        tokens=np.array([each.tokens for each in found], np.int64),
        cut=np.array([each.cut for each in found], bool),
        kept=np.array([each.kept for each in found], bool),
        limit=limit,
    )
