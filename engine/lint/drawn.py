"""The checks of finished texts: those of one setting, and those of several settings together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.lint.facts import RunFacts
from engine.lint.outcome import CheckFigure
from engine.text.counts import counted

RUN = 4
"""Equal tokens in a row from which they are a flood."""


@dataclass(frozen=True, eq=False)
class DrawnTexts:
    """What the checks read of the texts of one setting, a few bytes a text."""

    subject: str
    sampler: str
    """strategy and knobs"""
    terms: tuple[str, ...]
    """everything else that decides a text: only settings on equal terms are compared"""
    digests: Mapping[int, bytes]
    """of the ids, by number of the sample"""
    positions: int
    """of all texts, the prompts left out where they are known"""
    repeated: Mapping[int, int]
    """positions in runs of one token, by token"""
    text: Callable[[int], str] = field(default=lambda token: f"token {token}")

    @classmethod
    def of(
        cls,
        subject: str,
        sampler: str,
        terms: tuple[str, ...],
        rows: Iterable[tuple[int, NDArray[np.integer]]],
        **more: Any,
    ) -> Self:
        """Return what is read of texts.  rows: number of the sample and its ids [n], each read once."""
        digests: dict[int, bytes] = {}
        repeated: Counter[int] = Counter()
        positions = 0
        for number, ids in rows:
            digests[number] = hashlib.blake2b(ids.astype("<i8").tobytes(), digest_size=16).digest()
            positions += len(ids)
            tokens, counts = np.unique(ids[_in_runs(ids)], return_counts=True)
            repeated.update(dict(zip(tokens.tolist(), counts.tolist(), strict=True)))
        return cls(subject, sampler, terms, digests, positions, repeated, **more)


@dataclass(frozen=True)
class DrawnCheck:
    """A check of texts; `measure` yields a figure for each subject that it means something for."""

    title: str
    figure: str
    threshold: float
    advice: str
    measure: Callable[[Sequence[DrawnTexts], float], list[tuple[str, CheckFigure]]]


def drawn_of(subject: str, facts: RunFacts, terms: tuple[str, ...]) -> DrawnTexts:
    """Return the texts of a finished run."""
    rows = ((n, row[~locked]) for n, (row, locked) in enumerate(zip(facts.tokens, facts.locked, strict=True)))
    sampler = sampler_line([(one.strategy, one.knobs) for one in facts.settings])
    return DrawnTexts.of(subject, sampler, terms, rows, text=facts.text)


def sampler_line(used: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return strategies with their knobs in one line."""
    return ", then ".join(" ".join([name, *(f"{k}={v}" for k, v in sorted(knobs.items()))]) for name, knobs in used)


def floods(drawn: Sequence[DrawnTexts], threshold: float) -> list[tuple[str, CheckFigure]]:
    """Measure, for each setting, the share of positions in runs of one token."""
    return [(one.subject, _flood(one, threshold)) for one in drawn if one.positions]


def _flood(one: DrawnTexts, threshold: float) -> CheckFigure:
    share = sum(one.repeated.values()) / one.positions
    message = f"{share:.0%} of the positions are in runs of {RUN} or more of one token"
    if one.repeated:
        message += f", most of {one.text(max(one.repeated, key=lambda token: one.repeated[token]))}"
    return CheckFigure(share, share > threshold, message)


def _in_runs(row: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return the tokens in a run of RUN or more of their kind, bool [n]."""
    if not len(row):
        return np.zeros(0, bool)
    edges = np.flatnonzero(np.diff(row)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [len(row)]]))
    return np.repeat(lengths >= RUN, lengths)


def identical(drawn: Sequence[DrawnTexts], threshold: float) -> list[tuple[str, CheckFigure]]:
    """Measure, for each setting, the largest share of its texts that an earlier one with another sampler drew alike."""
    found = []
    for number, one in enumerate(drawn):
        others = [o for o in drawn[:number] if o.sampler != one.sampler and o.terms == one.terms]
        shares = [(_alike(one, other), other) for other in others if one.digests.keys() & other.digests.keys()]
        if shares:
            share, other = max(shares, key=lambda pair: pair[0])
            common = len(one.digests.keys() & other.digests.keys())
            message = f"{share:.0%} of {counted(common, 'text', form=',')} have the ids of {other.subject}"
            found.append((one.subject, CheckFigure(share, share >= threshold, f"{message} ({other.sampler})")))
    return found


def _alike(one: DrawnTexts, other: DrawnTexts) -> float:
    common = one.digests.keys() & other.digests.keys()
    return sum(one.digests[n] == other.digests[n] for n in common) / len(common)


DRAWN_CHECKS: dict[str, DrawnCheck] = {
    "flood": DrawnCheck(
        "Flood of one token", "share of positions in runs of one token", 0.25,
        "If it is an end-of-text token, shorten --length to the answer or fill it in blocks (--block-length).",
        floods,
    ),
    "identical": DrawnCheck(
        "Identical samples", "share of texts that another sampler drew alike, below", 0.9,
        "Check that the strategy and its knobs reach the sampler: two that differ should draw different texts.",
        identical,
    ),
}  # fmt: skip
"""By name.  A new check is one line here."""
