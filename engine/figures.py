"""Per-step figures of a frame, and their curves over a run: numpy only, computed once as a frame arrives."""

from __future__ import annotations

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
    return float(-(p * np.log(p)).sum())


class Curves:
    """Columns that grow by one row a step, each [steps, B]."""

    COLUMNS = ("masked", "remasked", "revealed", "sigma", "confidence", "entropy")

    def __init__(self, batch: int) -> None:
        self._rows = 0
        self._data = {name: np.zeros((256, batch)) for name in (*self.COLUMNS, "expected", "calls")}
        self.batch = batch

    def append(self, frame: Frame) -> None:
        if self._rows == len(self._data["masked"]):
            self._data = {k: np.concatenate((v, np.zeros_like(v))) for k, v in self._data.items()}
        for sample in range(self.batch):
            row = figures(frame, sample)
            for name in self.COLUMNS:
                self._data[name][self._rows, sample] = getattr(row, name)
        self._data["expected"][self._rows] = 1 - frame.alpha_s
        self._data["calls"][self._rows] = frame.network_calls
        self._rows += 1

    def column(self, name: str, sample: int) -> NDArray[np.float64]:
        """One figure over the run so far, [steps]; `expected` is 1 - alpha_s, `calls` counts the whole batch."""
        return self._data[name][: self._rows, sample]
