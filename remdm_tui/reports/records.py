"""The evaluations of a report: settings, series of settings, and groups that may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.evaluation.results import GenPPL, MauveResult, Results


@dataclass(frozen=True)
class Terms:
    """The terms on which figures were measured; only figures on equal terms are compared."""

    conventions: str
    sentences: tuple[str, ...]
    samples: int
    """requested"""
    judge: str
    judge_limit: int
    featurizer: str
    references: str
    together: int
    """samples that the reference implementation would draw and pad at a time"""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The results of one directory under one set of conventions."""

    home: Path
    results: Results
    terms: Terms
    strategy: str
    steps: int
    seed: int
    knobs: Mapping[str, str]
    traits: Mapping[str, str]
    """everything else that decides a sample"""

    @property
    def gen_ppl(self) -> GenPPL | None:
        return self.results.metrics[self.terms.conventions].gen_ppl

    @property
    def mauve(self) -> MauveResult | None:
        return self.results.metrics[self.terms.conventions].mauve


@dataclass(frozen=True, eq=False)
class Point:
    """One setting: its evaluations, ordered by seed."""

    steps: int
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True, eq=False)
class Series:
    """Settings that differ in nothing but steps, fewest first."""

    name: str
    points: tuple[Point, ...]

    @property
    def first(self) -> Evaluation:
        return self.points[0].evaluations[0]

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        return tuple(e for point in self.points for e in point.evaluations)


@dataclass(frozen=True, eq=False)
class Group:
    """All series on the same terms."""

    terms: Terms
    series: tuple[Series, ...]

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        return tuple(e for series in self.series for e in series.evaluations)


@dataclass(frozen=True, eq=False)
class Collection:
    """The groups that were found, and a sentence for each directory that could not be used."""

    groups: tuple[Group, ...]
    remarks: tuple[str, ...]
