"""Per-step figures of a frame, and their curves over a run: numpy only."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.records import Change, Frame


@dataclass(frozen=True)
class Figures:
    """What one step came to for one sample."""

    masked: int
    """positions masked after the step"""
    revealed: int
    remasked: int
    sigma: float
    """largest probability of remasking at a revealed position; 0 where none is revealed"""
    entropy: float
    """of the unigram distribution of what is revealed, nats"""
    confidence: float
    """mean probability that the revealed tokens had when drawn; nan where none is revealed"""


def figures(frame: Frame, sample: int) -> Figures:
    change, held = frame.change[sample], frame.held[sample]
    masked = (change == Change.MASKED) | (change == Change.REMASKED)
    # sigma applied to what was revealed before the step
    could = (change == Change.HELD) | (change == Change.REMASKED)
    drawn = (change == Change.HELD) | (change == Change.REVEALED)
    return Figures(
        masked=int(np.count_nonzero(masked)),
        revealed=int(np.count_nonzero(change == Change.REVEALED)),
        remasked=int(np.count_nonzero(change == Change.REMASKED)),
        sigma=float(frame.remask[sample][could].max()) if could.any() else 0.0,
        entropy=unigram_entropy(frame.tokens[sample][~masked]),
        confidence=float(held[drawn].mean()) if drawn.any() else float("nan"),
    )


def unigram_entropy(tokens: NDArray[np.integer]) -> float:
    """Entropy in nats of the empirical distribution of the tokens, as in ReMDM's evaluation; 0 for none."""
    if len(tokens) == 0:
        return 0.0
    counts = np.unique(tokens, return_counts=True)[1]
    p = counts / counts.sum()
    return float((p * -np.log(p)).sum())  # which is no negative zero where all are the same


class Curves:
    """Columns that grow by one row a step, each [steps, B].

    A frame costs nothing when it is appended: its figures are computed together with those of its neighbours, when
    a column is asked for.  One thread may append while one other reads.
    """

    COLUMNS = ("masked", "remasked", "revealed", "sigma", "confidence", "entropy")
    TOGETHER = 2**20
    """positions at a time, to bound the memory that the computation takes"""

    def __init__(self, batch: int) -> None:
        self._rows = 0
        self._waiting: deque[Frame] = deque()
        self._data = {name: np.zeros((256, batch)) for name in (*self.COLUMNS, "expected", "calls")}
        self.batch = batch

    @property
    def rows(self) -> int:
        """Steps there are, computed or waiting."""
        return self._rows + len(self._waiting)

    def append(self, frame: Frame) -> None:
        self._waiting.append(frame)

    def extend(self, columns: Mapping[str, NDArray[np.float64]]) -> None:
        """The next rows, computed elsewhere: every column, [rows, B] each."""
        self._work()
        self._insert(columns)

    def column(self, name: str, sample: int) -> NDArray[np.float64]:
        """One figure over the run so far, [steps]; `expected` is 1 - alpha_s, `calls` counts the whole batch."""
        self._work()
        return self._data[name][: self._rows, sample]

    def _work(self) -> None:
        """Compute what waits."""
        while self._waiting:
            together = max(1, self.TOGETHER // self._waiting[0].tokens.size)
            self._compute([self._waiting.popleft() for _ in range(min(together, len(self._waiting)))])

    def _compute(self, frames: list[Frame]) -> None:
        shape = len(frames), self.batch
        expected = np.broadcast_to([[1 - frame.alpha_s] for frame in frames], shape)
        calls = np.broadcast_to([[frame.network_calls] for frame in frames], shape)
        self._insert({**_columns(frames), "expected": expected, "calls": calls})

    def _insert(self, columns: Mapping[str, NDArray[np.float64]]) -> None:
        first, last = self._rows, self._rows + len(columns["masked"])
        while last > len(self._data["masked"]):
            self._data = {k: np.concatenate((v, np.zeros_like(v))) for k, v in self._data.items()}
        # a plan or a file may hold any kind of nan
        with np.errstate(invalid="ignore"):
            for name, values in columns.items():
                self._data[name][first:last] = values
        self._rows = last


def _columns(frames: list[Frame]) -> dict[str, NDArray[np.float64]]:
    """The figures of many frames at once, each [frames, B]; `figures` says what they are."""
    change, held = np.stack([frame.change for frame in frames]), np.stack([frame.held for frame in frames])
    states = {state: change == state for state in (Change.HELD, Change.REVEALED, Change.REMASKED)}
    masked = (change == Change.MASKED) | states[Change.REMASKED]
    could = states[Change.HELD] | states[Change.REMASKED]
    drawn = states[Change.HELD] | states[Change.REVEALED]
    remask = np.stack([frame.remask for frame in frames])
    with np.errstate(invalid="ignore"):
        confidence = np.where(drawn, held, 0).sum(-1, dtype=np.float64) / drawn.sum(-1)
    return {
        "masked": masked.sum(-1),
        "revealed": states[Change.REVEALED].sum(-1),
        "remasked": states[Change.REMASKED].sum(-1),
        "sigma": np.where(could, remask, 0).max(-1, initial=0),
        "confidence": confidence,
        "entropy": _entropies(np.stack([frame.tokens for frame in frames]), ~masked),
    }


def _entropies(tokens: NDArray[np.int32], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`unigram_entropy` of the counted tokens of every row [..., L]: by run lengths, H = log n - sum c log c / n."""
    length = tokens.shape[-1]
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
    return (np.log(totals) - sums / totals).reshape(tokens.shape[:-1])
