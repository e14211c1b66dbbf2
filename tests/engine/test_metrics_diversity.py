"""Entropy and diversity against counting by hand."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from engine.metrics.diversity import LONGEST, diversity, repetition
from engine.metrics.entropy import entropies, entropy


def sequences(count: int = 12) -> list[list[int]]:
    """Of 0 to 30 tokens, some of which are large numbers."""
    numbers = np.random.default_rng(2)
    return [(numbers.integers(0, 5, numbers.integers(0, 31)) * 50_000).tolist() for _ in range(count)]


def by_hand(ids: list[int]) -> float:
    counts = Counter(ids)
    return -sum(n / len(ids) * math.log(n / len(ids)) for n in counts.values())


def grams(ids: list[int], n: int) -> list[tuple[int, ...]]:
    return [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]


def test_entropy_is_that_of_counting_by_hand() -> None:
    rows = [row for row in sequences() if row]
    expected = [by_hand(row) for row in rows]
    assert entropies(rows) == pytest.approx(expected, abs=1e-12)
    found = entropy(rows)
    assert found.mean.value == pytest.approx(np.mean(expected))
    assert found.deviation == pytest.approx(np.std(expected, ddof=1))
    assert found.sequences == len(rows)
    assert found.mean.low is not None
    assert found.mean.low < found.mean.value


def test_entropy_of_all_different_and_all_the_same_tokens() -> None:
    assert entropies([list(range(1024)), [7] * 1024, []]) == pytest.approx([math.log(1024), 0, 0])


def test_distinct_and_repeated_are_those_of_counting_by_hand() -> None:
    rows = sequences()
    found = diversity(rows)
    for n in range(1, LONGEST + 1):
        every = [gram for row in rows for gram in grams(row, n)]
        assert found.distinct[n] == pytest.approx(len(set(every)) / len(every))
        within = [1 - len(set(grams(row, n))) / len(grams(row, n)) for row in rows if len(row) >= n]
        assert found.repetition[n] == pytest.approx(np.mean(within))
        for row in rows:
            alone = 1 - len(set(grams(row, n))) / len(grams(row, n)) if len(row) >= n else 0
            assert repetition(row, n) == pytest.approx(alone)


def test_a_loop_repeats_itself_and_a_permutation_does_not() -> None:
    assert repetition([1, 2, 3] * 20) == pytest.approx(1 - 3 / 57)
    assert repetition(np.arange(60)) == 0


def test_sequences_shorter_than_n_have_no_figure_for_n() -> None:
    found = diversity([[4, 5], [6]])
    assert found.distinct == {1: 1, 2: 1, 3: None, 4: None}
    assert found.repetition == {1: 0, 2: 0, 3: None, 4: None}


def test_no_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="no sequences"):
        diversity([])
    with pytest.raises(ValueError, match="nothing to average"):
        entropy([])
