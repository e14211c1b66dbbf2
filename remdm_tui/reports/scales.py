"""Positions of numbers on an axis, and its ticks.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map of [low, high] onto [0, 1]."""

    low: float
    high: float
    logarithmic: bool

    def __call__(self, value: float) -> float:
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def scale(values: Sequence[float], logarithmic: bool) -> Scale:
    """Return the scale of these values with a margin of a twentieth on either side."""
    low, high = min(values), max(values)
    if logarithmic:
        margin = (high / low) ** 0.05 if high > low else 1.5
        return Scale(low / margin, high * margin, True)
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return Scale(low - margin, high + margin, False)


def ticks(span: Scale, most: int) -> list[float]:
    """Return round numbers within the scale, at most `most`, which is 2 or more."""
    if span.logarithmic and span.high / span.low >= 4:
        exponents = range(math.floor(math.log10(span.low)), math.ceil(math.log10(span.high)) + 1)
        for factors in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
            found = [v for e in exponents for f in factors if span.low <= (v := f * 10.0**e) <= span.high]
            if len(found) <= most:
                return found
        return found[:: -(-len(found) // most)]
    step = 10.0 ** math.floor(math.log10((span.high - span.low) / most))
    multiples = (_multiples(span, factor * step) for factor in (1, 2, 5, 10, 20))
    return next(found for found in multiples if len(found) <= most)


def _multiples(span: Scale, step: float) -> list[float]:
    return [i * step for i in range(math.ceil(span.low / step), math.floor(span.high / step) + 1)]
