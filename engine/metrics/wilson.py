"""Wilson's interval of a share: it stays in 0 to 1, and has a width where all or none succeed."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from engine.metrics.bootstrap import LEVEL, Interval


def wilson(successes: int, count: int, level: float = LEVEL) -> Interval:
    """Return successes / count with its score interval (Wilson 1927).  Raises ValueError for a count of 0."""
    if not 0 <= successes <= count or count == 0:
        raise ValueError(f"{successes} of {count} is not a share")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, weight = successes / count, z * z / count
    centre = (share + weight / 2) / (1 + weight)
    half = z * sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), level)
