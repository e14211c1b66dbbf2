"""MAUVE (Pillutla et al. 2021, arXiv 2102.01454) by the package mauve-text, with its spread over k-means seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.metrics.bootstrap import deviation
from engine.metrics.conventions import Conventions, conventions
from engine.metrics.judge import Featurizer

FEWEST = 20
"""Texts needed on either side: two buckets of ten each."""
COMPARABLE = 1000
"""The least number of texts whose MAUVE is comparable with that of larger sets."""


@dataclass(frozen=True)
class Mauve:
    """MAUVE, between 0 and 1; 1 for equal distributions of features."""

    value: float
    """mean over seeds"""
    deviation: float | None
    """over seeds; None for one"""
    by_seed: dict[int, float]
    conventions: Conventions
    featurizer: str
    samples: int
    references: int
    empty: int
    """texts of either side left out because they have no token"""
    buckets: int
    warning: str | None


@dataclass(frozen=True, eq=False)
class Features:
    """Points of a set of texts, [N, D]."""

    points: NDArray[np.float32]
    empty: int = 0
    """texts left out"""


def features(featurizer: Featurizer, texts: Sequence[str], how: str = "standard") -> Features:
    """Return the features of all texts that are not empty.  Raises ValueError for one that the tokenizer rejects."""
    limit = min(conventions(how).featured_tokens, featurizer.context)
    rows = [row[:limit] for row in featurizer.tokens(texts) if row]
    return Features(featurizer.features(rows), len(texts) - len(rows))


def mauve(
    samples: Features, references: Features, how: str = "standard", *, featurizer: str, seeds: Sequence[int] = ()
) -> Mauve:
    """Return how close the samples' features are to the references'.

    how: a name of CONVENTIONS.  seeds: of k-means, in place of the conventions'.  Raises ValueError for too few
    texts or features that cannot be compared, ModuleNotFoundError that says what to install.
    """
    chosen = conventions(how)
    count = check_counts(len(samples.points), len(references.points))
    _check(samples.points, references.points)
    package = _package()
    buckets = max(2, round(count / 10))
    with _without_warnings(package):
        by_seed = {
            seed: float(
                package.compute_mauve(
                    p_features=references.points,
                    q_features=samples.points,
                    num_buckets=buckets,
                    mauve_scaling_factor=chosen.mauve_scaling,
                    seed=seed,
                    verbose=False,
                ).mauve
            )
            for seed in (seeds or chosen.mauve_seeds)
        }
    values = list(by_seed.values())
    return Mauve(
        value=float(np.mean(values)),
        deviation=deviation(values),
        by_seed=by_seed,
        conventions=chosen,
        featurizer=featurizer,
        samples=len(samples.points),
        references=len(references.points),
        empty=samples.empty + references.empty,
        buckets=buckets,
        warning=warning(count),
    )


def check_counts(samples: int, references: int) -> int:
    """Return the smaller of the two.  Raises ValueError if there are too few texts for MAUVE."""
    count = min(samples, references)
    if count < FEWEST:
        raise ValueError(
            f"MAUVE needs at least {FEWEST} samples and {FEWEST} references that are not empty, got {samples} and "
            f"{references}; {COMPARABLE:,} of each for figures that can be compared"
        )
    return count


def warning(count: int) -> str | None:
    """Return a sentence about figures of so few texts; None from COMPARABLE on."""
    if count >= COMPARABLE:
        return None
    return (
        f"MAUVE of {count} texts is not comparable with MAUVE of {COMPARABLE:,} or more: fewer texts give higher and "
        "less certain values"
    )


def _check(samples: NDArray[np.float32], references: NDArray[np.float32]) -> None:
    if samples.shape[1] != references.shape[1]:
        raise ValueError(
            f"samples have {samples.shape[1]} features, references {references.shape[1]}: use one featurizer for both"
        )
    for name, points in (("samples", samples), ("references", references)):
        bad = np.flatnonzero(~np.isfinite(points).all(1))
        if len(bad):
            raise ValueError(f"the features of {len(bad)} {name} are not finite, the first of them number {bad[0]}")
    if not np.ptp(np.concatenate((samples, references)), axis=0).any():
        raise ValueError("all texts have the same features: MAUVE is not defined")


def check_installed() -> None:
    """Raise ModuleNotFoundError, which says what to install, before any work is done."""
    _package()


def _package() -> Any:
    """Import mauve-text's module by its full name, as the package has a function of the same name."""
    try:
        return import_module("mauve.compute_mauve")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "MAUVE needs the package mauve-text: pip install 'remdm-tui[eval]'", name=error.name
        ) from error


@contextmanager
def _without_warnings(package: Any) -> Iterator[None]:
    """Silence faiss, which warns of too many buckets at every size."""
    faiss = package.faiss
    package.faiss = SimpleNamespace(Kmeans=partial(faiss.Kmeans, min_points_per_centroid=1))
    try:
        yield
    finally:
        package.faiss = faiss
