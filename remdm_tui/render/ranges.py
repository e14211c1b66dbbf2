"""Ranges of rows and columns.  Pure."""

from __future__ import annotations

from collections.abc import Sequence


def joined(parts: Sequence[range]) -> list[range]:
    """Return the ranges in order, those that touch as one."""
    joined: list[range] = []
    for part in sorted(parts, key=lambda part: part.start):
        if joined and part.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, part.stop))
        else:
            joined.append(part)
    return joined
