"""Per-step figures of a frame, and their curves over a run: numpy only."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.records import Change, Frame


@dataclass(frozen=True)
class Steps:
    """The arrays of some steps that figures are computed from, each [steps, samples, positions]."""

    tokens: NDArray[np.int32]
    change: NDArray[np.uint8]
    held: NDArray[np.float32]
    remask: NDArray[np.float32]
    _found: dict[tuple[Change, ...], NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)
    """what `after` has returned, as several figures read the same positions"""

    @classmethod
    def of(cls, frames: Sequence[Frame], samples: slice = slice(None)) -> Steps:
        """Return the steps of `frames`, restricted to a range of samples; one frame is not copied."""
        arrays = [
            [getattr(frame, name)[samples] for frame in frames] for name in ("tokens", "change", "held", "remask")
        ]
        return cls(*(np.stack(each) if len(each) > 1 else each[0][None] for each in arrays))

    def after(self, *changes: Change) -> NDArray[np.bool_]:
        """Return where one of `changes` happened, bool [steps, samples, positions], read-only."""
        if changes not in self._found:
            found = self.change == int(changes[0])  # an enum member is compared more slowly
            for change in changes[1:]:
                found = found | self.after(change)
            found.flags.writeable = False
            self._found[changes] = found
        return self._found[changes]


@dataclass(frozen=True)
class FigureKind:
    """One figure of a step: how it is computed, shown and stored."""

    label: str
    """on the side panel"""
    doc: str
    compute: Callable[[Steps], NDArray[Any]]
    """[steps, samples] of many steps at once, each row from its own step alone: a run comes in pieces of any length, so
    nothing can be carried from one step to the next"""
    digits: int = 0
    """behind the point, where it is shown"""
    counts: bool = False
    """whether it is a whole number"""
    stored: str = ""
    """as what recordings store it; empty: they compute it from their frames, as that needs no new format"""


def _masked(steps: Steps) -> NDArray[np.bool_]:
    return steps.after(Change.MASKED, Change.REMASKED)


def _count(*changes: Change) -> Callable[[Steps], NDArray[Any]]:
    return lambda steps: _totals(steps.after(*changes))


def _totals(where: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return how many are true along the last axis; one row is counted by the faster routine for it."""
    shape = where.shape[:-1]
    return np.full(shape, np.count_nonzero(where)) if where.size == where.shape[-1] else where.sum(-1)


def _sigma(steps: Steps) -> NDArray[Any]:
    # it applied to what was revealed before the step
    return np.where(steps.after(Change.HELD, Change.REMASKED, Change.EDITED), steps.remask, 0).max(-1, initial=0)


def _confidence(steps: Steps) -> NDArray[Any]:
    drawn = steps.after(Change.HELD, Change.REVEALED, Change.EDITED)
    with np.errstate(invalid="ignore"):
        return np.where(drawn, steps.held, 0).sum(-1, dtype=np.float64) / _totals(drawn)


def _revealed_confidence(steps: Steps) -> NDArray[Any]:
    fresh = steps.after(Change.REVEALED)
    with np.errstate(invalid="ignore"):
        return np.where(fresh, steps.held, 0).sum(-1, dtype=np.float64) / _totals(fresh)


FIGURES: dict[str, FigureKind] = {
    "masked": FigureKind(
        "masked", "positions masked after the step", _count(Change.MASKED, Change.REMASKED), counts=True, stored="<u4"
    ),
    "remasked": FigureKind(
        "remasked", "positions remasked in the step", _count(Change.REMASKED), counts=True, stored="<u4"
    ),
    "revealed": FigureKind(
        "revealed", "positions revealed in the step", _count(Change.REVEALED), counts=True, stored="<u4"
    ),
    "sigma": FigureKind(
        "sigma", "largest probability of remasking at a revealed position; 0 where none is revealed", _sigma, 4,
        stored="<f4",
    ),
    "confidence": FigureKind(
        "confid.", "mean probability that the revealed tokens had when drawn; nan where none is revealed",
        _confidence, 3, stored="<f8",
    ),
    "confidence_new": FigureKind(
        "p of new", "mean probability of the tokens revealed in the step; nan where none is",
        _revealed_confidence, 3,
    ),
    "entropy": FigureKind(
        "entropy", "of the unigram distribution of what is revealed, nats",
        lambda steps: _entropies(steps.tokens, ~_masked(steps)), 2, stored="<f8",
    ),
    "edited": FigureKind(
        "edited", "positions whose token the strategy replaced in the step", _count(Change.EDITED), counts=True
    ),
}  # fmt: skip
"""By name.  A new figure is one line here: side panel, `Curves`, recordings, tables and breakpoints follow.

Which of them are drawn as charts is chosen by hand in remdm_tui/ui/charts.py, and for pages in `CURVES` of
remdm_tui/exports/page_data.py.
"""


@dataclass(frozen=True)
class Figures:
    """The figures of one step of one sample."""

    values: Mapping[str, float]
    """by name, all of FIGURES"""

    @property
    def masked(self) -> int:
        return int(self.values["masked"])

    @property
    def revealed(self) -> int:
        return int(self.values["revealed"])

    @property
    def remasked(self) -> int:
        return int(self.values["remasked"])

    @property
    def sigma(self) -> float:
        return self.values["sigma"]

    @property
    def entropy(self) -> float:
        return self.values["entropy"]

    @property
    def confidence(self) -> float:
        return self.values["confidence"]


def figures(frame: Frame, sample: int) -> Figures:
    steps = Steps.of([frame], slice(sample, sample + 1))
    return Figures({name: float(kind.compute(steps)[0, 0]) for name, kind in FIGURES.items()})


def unigram_entropy(tokens: NDArray[np.integer]) -> float:
    """Return the entropy in nats of the empirical distribution of the tokens, as in ReMDM's evaluation; 0 for none."""
    if len(tokens) == 0:
        return 0.0
    counts = np.unique(tokens, return_counts=True)[1]
    p = counts / counts.sum()
    return float((p * -np.log(p)).sum())  # which is no negative zero where all are the same


class Curves:
    """Columns that grow by one row a step, each [steps, B].

    A frame costs nothing when it is appended: its figures are computed together with those of its neighbours, when
    a column is read.  One thread may append while another reads.
    """

    TOGETHER = 2**20
    """positions at a time, to bound the memory that the computation takes"""

    def __init__(self, batch: int) -> None:
        self._rows = 0
        self._waiting: deque[Frame] = deque()
        self._data = {name: np.zeros((256, batch)) for name in (*FIGURES, "expected", "calls")}
        self.batch = batch

    @property
    def rows(self) -> int:
        """Return the number of steps, computed or waiting."""
        return self._rows + len(self._waiting)

    def append(self, frame: Frame) -> None:
        self._waiting.append(frame)

    def extend(self, columns: Mapping[str, NDArray[np.float64]]) -> None:
        """Append rows that were computed elsewhere: every column, [rows, B] each."""
        self._work()
        self._insert(columns)

    def column(self, name: str, sample: int) -> NDArray[np.float64]:
        """Return one figure over the run so far, [steps]; `expected` is 1 - alpha_s, `calls` counts the whole batch."""
        self._work()
        return self._data[name][: self._rows, sample]

    def _work(self) -> None:
        """Compute the figures of waiting frames."""
        while self._waiting:
            together = max(1, self.TOGETHER // self._waiting[0].tokens.size)
            self._compute([self._waiting.popleft() for _ in range(min(together, len(self._waiting)))])

    def _compute(self, frames: list[Frame]) -> None:
        shape = len(frames), self.batch
        expected = np.broadcast_to([[1 - frame.alpha_s] for frame in frames], shape)
        calls = np.broadcast_to([[frame.network_calls] for frame in frames], shape)
        steps = Steps.of(frames)
        columns = {name: kind.compute(steps) for name, kind in FIGURES.items()}
        self._insert({**columns, "expected": expected, "calls": calls})

    def _insert(self, columns: Mapping[str, NDArray[np.float64]]) -> None:
        first, last = self._rows, self._rows + len(columns["masked"])
        while last > len(self._data["masked"]):
            self._data = {k: np.concatenate((v, np.zeros_like(v))) for k, v in self._data.items()}
        # a plan or a file may hold any kind of nan
        with np.errstate(invalid="ignore"):
            for name, values in columns.items():
                self._data[name][first:last] = values
        self._rows = last


def _entropies(tokens: NDArray[np.int32], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return `unigram_entropy` of the counted tokens of every row [..., L]: by run lengths, H = log n - sum c log c /
    n.
    """
    length = tokens.shape[-1]
    if tokens.size == length:
        return np.full(tokens.shape[:-1], _row_entropy(tokens[counted]))
    # what does not count goes to the end of its row, as one run
    rows = np.sort(np.where(counted, tokens, np.iinfo(np.int32).max).reshape(-1, length), axis=-1)
    fresh = np.ones(rows.shape, bool)
    fresh[:, 1:] = rows[:, 1:] != rows[:, :-1]
    starts = np.flatnonzero(fresh)
    lengths = np.diff(starts, append=rows.size)
    real = rows.ravel()[starts] != np.iinfo(np.int32).max
    terms = np.where(real, lengths * np.log(lengths), 0)
    totals = np.maximum(counted.reshape(-1, length).sum(-1), 1)
    sums = np.bincount(starts // length, terms, minlength=len(rows))
    # rounding can take it below 0 where all tokens are the same
    return np.maximum(np.log(totals) - sums / totals, 0).reshape(tokens.shape[:-1])


def _row_entropy(tokens: NDArray[np.int32]) -> np.float64:
    """Return the entropy of one row of tokens; the terms and their order, so the bits, are those of `_entropies`."""
    total = len(tokens)
    if total == 0:
        return np.float64(0)
    rows = np.sort(tokens)
    ends = np.append(np.flatnonzero(rows[1:] != rows[:-1]), total - 1)
    lengths = ends.copy()
    lengths[0] += 1
    lengths[1:] -= ends[:-1]
    terms = lengths * np.log(lengths)
    return np.maximum(np.log(total) - terms.cumsum()[-1] / total, 0)
