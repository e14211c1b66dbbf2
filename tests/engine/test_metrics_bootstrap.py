"""Intervals hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.metrics.bootstrap import Interval, deviation, interval, resamples

TRIALS = 400


def trials(level: float) -> tuple[float, float]:
    """How often intervals of a ratio of sums hold its true value, and how often one that is false by a tenth."""
    numbers = np.random.default_rng(5)
    held = wrong = 0
    for trial in range(TRIALS):
        weights = numbers.integers(20, 200, 100)
        # texts differ in difficulty: tokens of one text are not independent
        sums = weights * numbers.gamma(9.0, 3.0 / 9.0, 100)
        found = interval(sums, weights, level=level, times=300, seed=trial)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 3.0 <= found.high
        wrong += found.low <= 3.3 <= found.high
    return held / TRIALS, wrong / TRIALS


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_an_interval_covers_the_truth_as_often_as_it_says(level: float) -> None:
    held, wrong = trials(level)
    assert abs(held - level) < 3 * math.sqrt(level * (1 - level) / TRIALS) + 0.015
    assert wrong < held - 0.3


def test_taking_tokens_for_independent_covers_far_too_seldom() -> None:
    """The negative control: tokens, not texts, resampled."""
    numbers = np.random.default_rng(6)
    held = 0
    for trial in range(50):
        tokens = np.repeat(numbers.gamma(9.0, 3.0 / 9.0, 60), 30)
        found = interval(tokens, times=200, seed=trial)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 3.0 <= found.high
    assert held < 25


def test_the_figure_is_the_ratio_of_sums_and_not_the_mean_of_ratios() -> None:
    assert interval([1.0, 30.0], [1, 10]).value == pytest.approx(31 / 11)
    assert interval([1.0, 2.0, 6.0]).value == pytest.approx(3.0)


def test_an_interval_is_that_of_resamples_drawn_one_by_one() -> None:
    numbers = np.random.default_rng(7)
    sums, weights = numbers.random(17), numbers.integers(0, 4, 17)
    drawn = np.concatenate(list(resamples(17, 250, seed=3)))
    assert drawn.shape == (250, 17)
    ratios = sorted(sum(sums[i] for i in row) / sum(weights[i] for i in row) for row in drawn)
    found = interval(sums, weights, level=0.9, times=250, seed=3)
    assert found.low == pytest.approx(np.quantile(ratios, 0.05))
    assert found.high == pytest.approx(np.quantile(ratios, 0.95))
    assert interval(sums, weights, seed=3) == interval(sums, weights, seed=3) != interval(sums, weights, seed=4)


def test_resamples_without_weight_are_left_out() -> None:
    """Of two samples one has no weight: a quarter of the resamples takes it twice."""
    found = interval([0.0, 6.0], [0, 2], times=200)
    assert (found.value, found.low, found.high) == (3.0, 3.0, 3.0)


def test_one_sample_has_no_interval() -> None:
    assert interval([2.0]) == Interval(2.0, None, None)
    assert interval([2.0]).map(math.exp) == Interval(math.exp(2.0), None, None)
    assert deviation([2.0]) is None
    assert deviation([2.0, 4.0]) == pytest.approx(math.sqrt(2))


def test_what_cannot_be_averaged_is_refused() -> None:
    for sums, weights in (([], None), ([0.0, 0.0], [0, 0])):
        with pytest.raises(ValueError, match="nothing to average"):
            interval(sums, weights)
    with pytest.raises(ValueError, match="one number for each sample"):
        interval([1.0, 2.0], [1])
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 95"):
        interval([1.0, 2.0], level=95)
