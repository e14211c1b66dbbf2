"""The checks of finished texts: those of one setting, and those of several settings together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.lint.facts import RunFacts
from engine.lint.outcome import CheckFigure
from engine.text.counts import counted

RUN = 4
"""Equal tokens in a row from which they are a flood."""


@dataclass(frozen=True, eq=False)
class DrawnTexts:
    """The texts of one setting."""

    subject: str
    sampler: str
    """strategy and knobs"""
    terms: tuple[str, ...]
    """everything else that decides a text: only settings on equal terms are compared"""
    ids: Mapping[int, NDArray[np.integer]]
    """the tokens [n] by number of the sample, the prompt left out where it is known"""
    text: Callable[[int], str] = field(default=lambda token: f"token {token}")


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
    ids = {n: row[~locked] for n, (row, locked) in enumerate(zip(facts.tokens, facts.locked, strict=True))}
    return DrawnTexts(
        subject, sampler_line([(one.strategy, one.knobs) for one in facts.settings]), terms, ids, facts.text
    )


def sampler_line(used: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return strategies with their knobs in one line."""
    return ", then ".join(" ".join([name, *(f"{k}={v}" for k, v in sorted(knobs.items()))]) for name, knobs in used)


def floods(drawn: Sequence[DrawnTexts], threshold: float) -> list[tuple[str, CheckFigure]]:
    """Measure, for each setting, the share of positions in runs of one token."""
    return [(one.subject, _flood(one, threshold)) for one in drawn if any(len(row) for row in one.ids.values())]


def _flood(one: DrawnTexts, threshold: float) -> CheckFigure:
    total, repeated = 0, np.zeros(0, np.int64)
    for row in one.ids.values():
        total += len(row)
        repeated = np.concatenate([repeated, row[_in_runs(row)]])
    share = len(repeated) / total
    message = f"{share:.0%} of the positions are in runs of {RUN} or more of one token"
    if len(repeated):
        tokens, counts = np.unique(repeated, return_counts=True)
        message += f", most of {one.text(int(tokens[np.argmax(counts)]))}"
    return CheckFigure(share, share > threshold, message)


def _in_runs(row: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return where a token stands in a run of RUN or more of its kind, bool [n]."""
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
        shares = [(_alike(one, other), other) for other in others if one.ids.keys() & other.ids.keys()]
        if shares:
            share, other = max(shares, key=lambda pair: pair[0])
            common = len(one.ids.keys() & other.ids.keys())
            message = f"{share:.0%} of {counted(common, 'text', form=',')} have the ids of {other.subject}"
            found.append((one.subject, CheckFigure(share, share >= threshold, f"{message} ({other.sampler})")))
    return found


def _alike(one: DrawnTexts, other: DrawnTexts) -> float:
    common = one.ids.keys() & other.ids.keys()
    return sum(np.array_equal(one.ids[n], other.ids[n]) for n in common) / len(common)


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
