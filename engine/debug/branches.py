"""The tree of a run's branches, and where two of them differ: numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.records import Branch, Frame
from engine.sampling.trace import Record, Trace
from engine.text.counts import counted


def fork_record(record: Record, at: int) -> Trace:
    """Return the record in memory of a branch that shares the first `at` frames of another; the frames are the same
    objects.

    Raises ValueError beyond the other's end.
    """
    if not 0 <= at <= len(record):
        raise ValueError(f"a record of {counted(len(record), 'step')} has no step {at} to branch off at")
    branch = Trace(record.start)
    for position in range(1, at + 1):
        frame = record.frame(position)
        assert frame is not None
        branch.append(frame)
    return branch


@dataclass(frozen=True)
class Row:
    """One branch as a tree shows it: `rails` says for each ancestor, the root first, whether others of it follow."""

    branch: Branch
    rails: tuple[bool, ...]
    last: bool
    """whether no sibling follows"""


@dataclass(frozen=True)
class FirstDifference:
    """Where two branches first differ: after how many steps, and the first (sample, position) of those that do."""

    step: int
    sample: int
    position: int
    positions: int
    """how many differ there"""


def tree(branches: Sequence[Branch]) -> list[Row]:
    """Return the branches from the root down, each followed by its children in the order in which they fork."""
    children: dict[int | None, list[Branch]] = {}
    for branch in branches:
        children.setdefault(branch.parent, []).append(branch)
    rows: list[Row] = []
    roots = children.get(None, [])
    stack: list[tuple[Branch, tuple[bool, ...], bool]] = [(root, (), i == 0) for i, root in enumerate(reversed(roots))]
    while stack:
        branch, rails, last = stack.pop()
        rows.append(Row(branch, rails, last))
        below = sorted(children.get(branch.id, []), key=lambda child: (child.at, child.id))
        stack += [(child, (*rails, not last), i == 0) for i, child in enumerate(reversed(below))]
    return rows


def shared_steps(branches: Mapping[int, Branch], a: int, b: int) -> int:
    """Return how many first steps two branches have in common because one record holds them.

    Raises ValueError where there is no such branch, or but one.
    """
    if a == b:
        raise ValueError(f"branch {a} is compared with itself: choose two")
    ways = [_way(branches, branch) for branch in (a, b)]
    joint = next((i for i in ways[0] if i in ways[1]), None)
    if joint is None:
        raise ValueError(f"branches {a} and {b} have nothing in common")
    return int(min(ways[0][joint], ways[1][joint]))


def _way(branches: Mapping[int, Branch], branch: int) -> dict[int, float]:
    """Return the branch and its ancestors, and how many steps of each it includes."""
    way: dict[int, float] = {}
    steps = float("inf")
    here: int | None = branch
    while here is not None:
        if here not in branches or here in way:
            raise ValueError(f"there is no branch {here}, or it is its own parent")
        way[here] = steps
        steps = min(steps, branches[here].at)
        here = branches[here].parent
    return way


def differing_positions(a: Frame, b: Frame) -> NDArray[np.bool_]:
    """Return bool [B, L]: where the tokens of two states differ, a mask counted as one.

    Raises ValueError for two shapes.
    """
    if a.tokens.shape != b.tokens.shape:
        raise ValueError(f"states of shape {a.tokens.shape} and {b.tokens.shape} cannot be compared")
    return a.tokens != b.tokens


def first_difference(
    a: Callable[[int], Frame | None], b: Callable[[int], Frame | None], steps: int, *, shared: int = 0,
    sample: int | None = None,
) -> FirstDifference | None:  # fmt: skip
    """Return where two branches part, in one sample or in any; None if they do not within `steps` steps.

    a and b give the frame that led to a position, as `Trace.frame` does; `shared_steps`: steps known to be common.
    """
    for position in range(max(shared, 0) + 1, steps + 1):
        one, other = a(position), b(position)
        if one is None or other is None:
            continue
        where = differing_positions(one, other)
        rows = where if sample is None else where[sample : sample + 1]
        if rows.any():
            row, column = (int(i[0]) for i in np.nonzero(rows))
            return FirstDifference(position, row if sample is None else sample, column, int(rows.sum()))
    return None
