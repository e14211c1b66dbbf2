"""Score samples with the judge and the featurizer, in pieces that do not depend on how the work is divided.

A piece is PIECE consecutive numbers of samples, scored together: a figure depends neither on the process that scores
it nor on where an earlier start was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.evaluation.plan import EvalPlan, Scoring
from engine.evaluation.results import Judged, SampleLine, Unpadded, is_complete
from engine.evaluation.shards import Scored
from engine.metrics.conventions import conventions
from engine.metrics.generative_perplexity import TextScores, score_texts, texts_kept
from engine.metrics.judge import Featurizer, Judge

PIECE = 16
"""The number of samples in one piece."""


@dataclass(frozen=True)
class Readers:
    """The judge and the featurizer of an evaluation; None for one that the evaluation does not use."""

    judge: Judge | None
    featurizer: Featurizer | None


def pieces(lines: Sequence[SampleLine]) -> Iterator[Sequence[SampleLine]]:
    """Return the samples in order, grouped into pieces.

    A sample's number decides its piece, so that a missing sample changes no other piece.
    """
    return (list(piece) for _, piece in groupby(lines, lambda line: line.number // PIECE))


def scored(piece: Sequence[SampleLine], readers: Readers, plan: EvalPlan) -> list[Scored]:
    """Score each sample of a piece, without the padding of shorter texts, which `padded_lines` adds.

    Raises ValueError for a text that the judge's tokenizer rejects.
    """
    texts = [line.text for line in piece]
    judged: list[dict[str, Judged] | None] = [None] * len(piece)
    if readers.judge is not None:
        found = {
            how: score_texts(readers.judge, texts, how, length=plan.sampling.length) for how in plan.scoring.conventions
        }
        judged = [{how: _judged(scores, i, how) for how, scores in found.items()} for i in range(len(piece))]
    points: list[bytes | None] = [None] * len(piece)
    if readers.featurizer is not None:
        points = _features(readers.featurizer, texts, plan.scoring)
    return [Scored(line.number, each, point) for line, each, point in zip(piece, judged, points, strict=True)]


def _judged(scores: TextScores, i: int, how: str) -> Judged:
    nats, tokens, end = float(scores.nats[i]), int(scores.tokens[i]), float(scores.ends[i])
    pads = conventions(how).padding_end
    unpadded = Unpadded(nats, tokens, int(scores.lengths[i]), None if math.isnan(end) else end) if pads else None
    return Judged(nats, tokens, cut=bool(scores.cut[i]), unpadded=unpadded)


def _features(featurizer: Featurizer, texts: Sequence[str], plan: Scoring) -> list[bytes | None]:
    """Return the features of each text as float32 bytes, None for an empty text.

    All conventions read the same number of tokens for features, so that one point a text serves them all.
    """
    limit = min(*(conventions(how).featured_tokens for how in plan.conventions), featurizer.context)
    rows = [row[:limit] for row in featurizer.tokens(texts)]
    where = [i for i, row in enumerate(rows) if row]
    found: list[bytes | None] = [None] * len(rows)
    for i, point in zip(where, featurizer.features([rows[i] for i in where]), strict=True):
        found[i] = point.astype("<f4").tobytes()
    return found


def with_scores(line: SampleLine, scores: Mapping[int, Scored]) -> SampleLine:
    """Return a sample with the judge's figures, if it has any."""
    found = scores.get(line.number)
    return line if found is None or found.judged is None else msgspec.structs.replace(line, judged=found.judged)


def score_fault(
    found: Scored, line: SampleLine | None, readers: Readers, plan: EvalPlan, size: int | None
) -> str | None:
    """Return why these readers cannot have scored a sample like this, in words; None where they can.

    line: the sample of that number; None if it is missing.  size: numbers of one feature.
    """
    if line is None:
        return f"there is no sample {found.number}"
    judged, expected = found.judged, plan.scoring.conventions
    if (judged is None) != (readers.judge is None) or (judged is not None and not is_complete(judged, expected)):
        return f"its figures of sample {found.number} are missing or not finite"
    if found.features is None:
        is_missing = readers.featurizer is not None and any(readers.featurizer.tokens([line.text]))
        return f"it has no features of sample {found.number}" if is_missing else None
    if size is None or len(found.features) != 4 * size or not np.isfinite(np.frombuffer(found.features, "<f4")).all():
        return f"its features of sample {found.number} have the wrong size or are not finite"
    return None


def padded_lines(lines: Sequence[SampleLine], plan: Scoring) -> list[SampleLine]:
    """Return all samples, each padded to the longest and marked with the conventions under which it counts."""
    longest = {
        how: max((one.unpadded.length for line in lines if (one := _under(line, how)) and one.unpadded), default=0)
        for how in plan.conventions
    }
    kept = {how: texts_kept(len(lines), how, plan.together) for how in plan.conventions}

    def of(place: int, line: SampleLine) -> SampleLine:
        if line.judged is None:
            return line
        judged = {
            how: msgspec.structs.replace(_padded(one, longest[how]), kept=place < kept[how])
            for how, one in line.judged.items()
        }
        return msgspec.structs.replace(line, judged=judged)

    return [of(place, line) for place, line in enumerate(lines)]


def _under(line: SampleLine, how: str) -> Judged | None:
    return None if line.judged is None else line.judged.get(how)


def _padded(one: Judged, longest: int) -> Judged:
    """Return the figures of a text that is padded to `longest` tokens."""
    own = one.unpadded
    if own is None:
        return one
    if own.end is None or own.length == longest:
        return msgspec.structs.replace(one, nats=own.nats, tokens=own.tokens)
    return msgspec.structs.replace(one, nats=own.nats + own.end, tokens=own.tokens + 1)


def points(found: Sequence[bytes | None]) -> NDArray[np.float32]:
    """Return the features of the texts that have any, float32 [N, D]."""
    rows = [np.frombuffer(each, "<f4") for each in found if each is not None]
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), np.float32)


def text_scores(lines: Sequence[SampleLine], how: str, limit: int) -> TextScores:
    """Return the padded figures of all samples for the metrics.  limit: tokens of a text that the judge read."""
    found = [line.judged[how] for line in lines if line.judged is not None]
    return TextScores(
        nats=np.array([each.nats for each in found], np.float64),
        tokens=np.array([each.tokens for each in found], np.int64),
        cut=np.array([each.cut for each in found], bool),
        limit=limit,
        lengths=np.array([each.unpadded.length if each.unpadded else 0 for each in found], np.int64),
        ends=np.full(len(found), np.nan),
    )
