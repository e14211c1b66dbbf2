"""Groups evaluations into series, and names each series by what sets it apart from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from remdm_tui.reports.records import Evaluated, Point, Series

E = TypeVar("E", bound=Evaluated)
DIGEST = "_digest"
"""The end of the name of a setting that is a digest."""


def series_of(evaluations: Sequence[E]) -> tuple[Series[E], ...]:
    """Return a series for each set of evaluations that differ in nothing but steps and seed."""
    by_key: dict[Any, list[E]] = {}
    for one in evaluations:
        key = (one.strategy, frozenset(one.knobs.items()), frozenset(one.traits.items()))
        by_key.setdefault(key, []).append(one)
    firsts = [members[0] for members in by_key.values()]
    names = numbered([name_among(first, firsts) for first in firsts])
    return tuple(Series(name, _points(members)) for name, members in zip(names, by_key.values(), strict=True))


def name_among(one: Evaluated, others: Sequence[Evaluated]) -> str:
    """Return the strategy with the knobs and settings in which it differs from the others.

    Knobs, and digests of what a strategy reads, are compared with evaluations of the same strategy.  Settings that
    follow from ones before them, as the fingerprint of a model does from its name, are left out.
    """
    alike = [other for other in others if other.strategy == one.strategy]
    knobs = [f"{k}={one.knobs[k]}" for k in one.knobs if len({other.knobs.get(k) for other in alike}) > 1]
    apart = _distinguishing([other.traits for other in others])
    shown = [k for k in apart if not k.endswith(DIGEST) or len({other.traits.get(k) for other in alike}) > 1]
    traits = [f"{k}={one.traits[k]}" for k in shown if k in one.traits]
    return " ".join([one.strategy, *knobs, *traits])


def _distinguishing(several: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the settings that distinguish these, each more of them than the ones before it do."""
    names: list[str] = []
    for name in dict.fromkeys(name for traits in several for name in traits):
        so_far = {tuple(traits.get(each) for each in names) for traits in several}
        more = {tuple(traits.get(each) for each in (*names, name)) for traits in several}
        if len(more) > len(so_far):
            names.append(name)
    return names


def numbered(names: Sequence[str]) -> list[str]:
    """Return the names, with a number after those that shortening has made equal."""
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result


def _points(members: Iterable[E]) -> tuple[Point[E], ...]:
    by_steps: dict[int, list[E]] = {}
    for one in members:
        by_steps.setdefault(one.steps, []).append(one)
    return tuple(
        Point(steps, tuple(sorted(by_steps[steps], key=lambda e: e.seed))) for steps in sorted(by_steps)
    )  # fmt: skip
