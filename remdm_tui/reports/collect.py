"""Which evaluations lie below some directories, which of them may be compared, and what names their series."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import msgspec

from engine.evaluation.results import RESULTS, SAMPLES, GenPPL, MauveResult, Results, read_results
from remdm_tui.console.sanitize import sanitize

TRACES = {RESULTS, SAMPLES, "settings.json"}
"""A directory with one of these files is an evaluation's; nothing is looked for below it."""
LONGEST = 40
"""Characters of a setting's value in a name or a table."""
NOT_TRAITS = {"strategy", "knobs", "steps", "seed", "count"}
"""Of `sampling`: what a series, a point or a repetition is told apart by in another way."""


class Sampling(msgspec.Struct, frozen=True):
    """What a report must know of the settings' `sampling`."""

    strategy: str
    steps: Annotated[int, msgspec.Meta(ge=1)]
    seed: int
    count: Annotated[int, msgspec.Meta(ge=1)]
    knobs: dict[str, Any] = {}


class Scoring(msgspec.Struct, frozen=True):
    """What a report must know of the settings' `scoring`."""

    references: str | None = None
    references_split: str | None = None
    judge_dtype: str | None = None
    together: int = 1


class Settings(msgspec.Struct, frozen=True):
    """The settings by part; the parts' other entries are taken as they are."""

    model: dict[str, Any]
    sampling: dict[str, Any]
    scoring: Scoring = Scoring()


@dataclass(frozen=True)
class Terms:
    """On what terms figures were taken; only those on equal terms are put side by side."""

    conventions: str
    sentences: tuple[str, ...]
    samples: int
    """asked for"""
    judge: str
    judge_limit: int
    featurizer: str
    references: str
    together: int
    """samples that the reference would draw and pad at a time"""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One directory's results, seen under one set of conventions."""

    home: Path
    results: Results
    terms: Terms
    strategy: str
    steps: int
    seed: int
    knobs: Mapping[str, str]
    traits: Mapping[str, str]
    """all else that decides a sample"""

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
    """Everything found, and a sentence for everything that could not be used."""

    groups: tuple[Group, ...]
    remarks: tuple[str, ...]


def collect(roots: Sequence[Path], conventions: str | None = None) -> Collection:
    """Every evaluation at or below the directories, each once; links below them are not followed.

    conventions: whose figures are shown; None for each evaluation's primary ones.  Raises ValueError with one
    sentence where a root is no directory or nothing can be shown.
    """
    found: list[Evaluation] = []
    remarks: list[str] = []
    for home in _homes(roots):
        try:
            if not (home / RESULTS).exists():
                raise ValueError(f"{home} has no results yet; the `eval` command that began it goes on with it")
            found.append(evaluation(home, read_results(home), conventions))
        except ValueError as error:
            remarks.append(sanitize(str(error), cells=True))
    if not found:
        named = ", ".join(map(str, roots))
        raise ValueError(". ".join([*remarks, f"no evaluation to report on in {named}; `remdm-tui eval` makes one"]))
    terms = dict.fromkeys(e.terms for e in found)
    groups = tuple(Group(t, _series([e for e in found if e.terms == t])) for t in terms)
    return Collection(groups, (*remarks, *_twice(groups)))


def _homes(roots: Iterable[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for root in roots:
        if not root.is_dir():
            raise ValueError(
                f"{root} is no directory; give one that `remdm-tui eval --out` made, or one that holds such"
            )
        for place, below, files in os.walk(root):
            home = Path(place)
            if TRACES & set(files):
                below.clear()
                if home.resolve() not in seen:
                    seen.add(home.resolve())
                    yield home
            else:
                below[:] = sorted((name for name in below if not name.startswith(".")), key=natural)


def natural(name: str) -> tuple[tuple[str, int], ...]:
    """A key that orders steps=128 before steps=1024."""
    return tuple((text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", name))


def evaluation(home: Path, results: Results, conventions: str | None = None) -> Evaluation:
    """Raises ValueError with one sentence where the results lack what a report needs."""
    name = conventions or results.primary
    if name not in results.metrics or name not in results.conventions:
        raise ValueError(f"{home} has no figures under the conventions {name!r}, only {', '.join(results.metrics)}")
    try:
        settings = msgspec.convert(results.settings, Settings)
        sampling = msgspec.convert(settings.sampling, Sampling)
    except msgspec.ValidationError as error:
        raise ValueError(f"{home / RESULTS} has settings that no evaluation writes: {error}") from error
    model = {"model" if k == "name" else f"model {k}": v for k, v in settings.model.items() if k != "device"}
    rest = {k: v for k, v in settings.sampling.items() if k not in NOT_TRAITS}
    return Evaluation(
        home, results, _terms(results, name, settings.scoring, sampling.count), sanitize(sampling.strategy, cells=True),
        sampling.steps, sampling.seed, _spelled(sampling.knobs), _spelled(model | rest),
    )  # fmt: skip


def _terms(results: Results, conventions: str, scoring: Scoring, count: int) -> Terms:
    judged, mauve = results.metrics[conventions].gen_ppl, results.metrics[conventions].mauve
    references = f"{mauve.references:,} texts" if mauve else "none"
    if mauve and scoring.references:
        references += f" of {spelled(scoring.references)}"
        references += f", {spelled(scoring.references_split)}" if scoring.references_split else ""
    judge = "none" if judged is None else sanitize(judged.judge, cells=True)
    if judged and scoring.judge_dtype:
        judge += f" in {spelled(scoring.judge_dtype)}"
    return Terms(
        conventions=sanitize(conventions, cells=True),
        sentences=tuple(sanitize(sentence, cells=True) for sentence in results.conventions[conventions]),
        samples=count,
        judge=judge,
        judge_limit=judged.limit if judged else 0,
        featurizer=sanitize(mauve.featurizer, cells=True) if mauve else "none",
        references=references,
        together=scoring.together,
    )


def spelled(value: Any) -> str:
    """A setting's value in a few characters that can do no harm."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    text = sanitize(value if isinstance(value, str) else msgspec.json.encode(value).decode(), cells=True)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _spelled(values: Mapping[str, Any]) -> dict[str, str]:
    """What is said, without what is off."""
    said = {name: value for name, value in values.items() if not (value is None or value is False or value == "")}
    return {sanitize(name, cells=True): spelled(value) for name, value in said.items()}


def _series(evaluations: Sequence[Evaluation]) -> tuple[Series, ...]:
    by_key: dict[Any, list[Evaluation]] = {}
    for one in evaluations:
        key = (one.strategy, frozenset(one.knobs.items()), frozenset(one.traits.items()))
        by_key.setdefault(key, []).append(one)
    firsts = [members[0] for members in by_key.values()]
    names = distinguished([name_among(first, firsts) for first in firsts])
    return tuple(Series(name, _points(members)) for name, members in zip(names, by_key.values(), strict=True))


def name_among(one: Evaluation, others: Sequence[Evaluation]) -> str:
    """The strategy with the knobs in which it differs from others of it, and the settings in which any differ, but for
    those that follow from the ones told before them, as a model's fingerprint does from its name."""
    alike = [other for other in others if other.strategy == one.strategy]
    told = [f"{k}={one.knobs[k]}" for k in one.knobs if len({other.knobs.get(k) for other in alike}) > 1]
    apart = _telling([other.traits for other in others])
    return " ".join([one.strategy, *told, *(f"{k}={one.traits[k]}" for k in apart if k in one.traits)])


def _telling(several: Sequence[Mapping[str, str]]) -> list[str]:
    """The settings that tell these apart, each of which says more than those before it."""
    told: list[str] = []
    for name in dict.fromkeys(name for traits in several for name in traits):
        known = {tuple(traits.get(each) for each in told) for traits in several}
        more = {tuple(traits.get(each) for each in (*told, name)) for traits in several}
        if len(more) > len(known):
            told.append(name)
    return told


def distinguished(names: Sequence[str]) -> list[str]:
    """The names, numbered where shortening has made two alike."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _points(members: Iterable[Evaluation]) -> tuple[Point, ...]:
    by_steps: dict[int, list[Evaluation]] = {}
    for one in members:
        by_steps.setdefault(one.steps, []).append(one)
    return tuple(
        Point(steps, tuple(sorted(by_steps[steps], key=lambda e: e.seed))) for steps in sorted(by_steps)
    )  # fmt: skip


def _twice(groups: Iterable[Group]) -> Iterator[str]:
    for point in (point for group in groups for series in group.series for point in series.points):
        for one, other in zip(point.evaluations, point.evaluations[1:]):
            if one.seed == other.seed:
                yield sanitize(f"{one.home} and {other.home} are the same setting and seed; both are shown", cells=True)


def apart(groups: Sequence[Group]) -> str | None:
    """Why the groups are not in one plot, in a sentence; None for one group."""
    if len(groups) < 2:
        return None
    told: list[str] = []
    for field in fields(Terms):
        values = list(dict.fromkeys(getattr(group.terms, field.name) for group in groups))
        if len(values) < 2 or (field.name == "judge_limit" and any(t.startswith("judge") for t in told)):
            continue
        if field.name == "sentences":
            told.append("what the conventions say")
        else:
            listed = " and ".join(f"{v:,}" if isinstance(v, int) else v for v in values)
            told.append(f"{field.name.replace('_', ' ')} ({listed})")
    return f"These evaluations differ in {'; '.join(told)}: their figures cannot be compared and are shown apart."
