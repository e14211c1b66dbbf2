"""Bookmarks: the marked steps of a branch.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.recording import Mark
from engine.records import Branch


def bookmarked_positions(marks: Iterable[Mark], branches: Sequence[Branch], branch: int) -> tuple[int, ...]:
    """Return the marked positions of a branch in order, including its parents' in the shared steps."""
    limits: dict[int, float] = {}
    at, limit = branch, float("inf")
    by_id = {one.id: one for one in branches}
    while at in by_id and at not in limits:
        limits[at] = limit
        one = by_id[at]
        if one.parent is None:
            break
        at, limit = one.parent, min(limit, one.at)
    return tuple(sorted({mark.position for mark in marks if mark.position <= limits.get(mark.branch, -1)}))


def next_bookmark(positions: Sequence[int], position: int, by: int) -> int | None:
    """Return the next marked position after (by > 0) or before this one; None beyond the last."""
    if by > 0:
        return min((one for one in positions if one > position), default=None)
    return max((one for one in positions if one < position), default=None)
