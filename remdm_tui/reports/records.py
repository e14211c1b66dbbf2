"""The evaluations of a report: settings, series of settings, and groups that may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from engine.evaluation.results import GenPPL, MauveResult, Results
from engine.tasks.results import TaskResults


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


@dataclass(frozen=True)
class TaskTerms:
    """What the model was asked, and how; only answers to the same questions are compared."""

    tasks: str
    items: int
    limit: str
    """of items of each task"""
    examples: str
    """in each prompt"""
    chat_template: str
    system_prompt: str
    maskings: int
    """of a continuation whose likelihood is not exact"""
    harness: str
    """version of lm-evaluation-harness; empty where it is not used"""
    configuration: str
    """digest of the tasks' configurations and documents"""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The settings of the evaluation in one directory."""

    home: Path
    strategy: str
    steps: int
    seed: int
    knobs: Mapping[str, str]
    traits: Mapping[str, str]
    """everything else that decides a sample"""


@dataclass(frozen=True, eq=False)
class TaskEvaluation(Evaluated):
    """The results of an evaluation on tasks."""

    results: TaskResults
    terms: TaskTerms


@dataclass(frozen=True, eq=False)
class Evaluation(Evaluated):
    """The results of one directory under one set of conventions."""

    results: Results
    terms: Terms

    @property
    def gen_ppl(self) -> GenPPL | None:
        return self.results.metrics[self.terms.conventions].gen_ppl

    @property
    def mauve(self) -> MauveResult | None:
        return self.results.metrics[self.terms.conventions].mauve

    @property
    def tokens_per_call(self) -> float:
        """Return the tokens of a text, its prompt included, for each of its network calls."""
        sampling = self.results.settings["sampling"]
        tokens = sampling["length"] + (sampling.get("stride") or 0) * (sampling.get("strides") or 0)
        return float(tokens / max(self.results.calls.per_sample.value, 1e-9))


E = TypeVar("E", bound=Evaluated)
AnyTerms = TypeVar("AnyTerms", Terms, TaskTerms)


@dataclass(frozen=True, eq=False)
class Point(Generic[E]):
    """One setting: its evaluations, ordered by seed."""

    steps: int
    evaluations: tuple[E, ...]


@dataclass(frozen=True, eq=False)
class Series(Generic[E]):
    """Settings that differ in nothing but steps, fewest first."""

    name: str
    points: tuple[Point[E], ...]

    @property
    def first(self) -> E:
        return self.points[0].evaluations[0]

    @property
    def evaluations(self) -> tuple[E, ...]:
        return tuple(e for point in self.points for e in point.evaluations)


@dataclass(frozen=True, eq=False)
class Compared(Generic[AnyTerms, E]):
    """All series on the same terms."""

    terms: AnyTerms
    series: tuple[Series[E], ...]

    @property
    def evaluations(self) -> tuple[E, ...]:
        return tuple(e for series in self.series for e in series.evaluations)


Group = Compared[Terms, Evaluation]
TaskGroup = Compared[TaskTerms, TaskEvaluation]


@dataclass(frozen=True, eq=False)
class Collection:
    """The groups that were found, of samples and of tasks, and a sentence for each directory that could not be used."""

    groups: tuple[Group, ...]
    remarks: tuple[str, ...]
    tasks: tuple[TaskGroup, ...] = ()
