"""PC-Sampler: low confidence weighed by position, and by how rare a token is in general."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.files.regular import regular_file
from engine.strategies.base import Plan, Strategy, View, knob, quota
from engine.strategies.ranking import highest
from engine.text.numbers import short

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-9
"""Added to a frequency before its logarithm, as the authors' code does."""


@dataclass(frozen=True)
class PcSampler(Strategy):
    """The score is exp(-decay * j) * min(-p log f, cap), j counted from the start of the block."""

    name = "pc-sampler"
    summary = "Reveal by confidence times surprise, decaying with the position, an equal share each step; never remask."
    source = "PC-Sampler, arXiv 2508.13021, pc_sampler_function"
    preserves_marginal = False  # shares that are rounded up run ahead of the clock
    remask_limit = 0
    reads = frozenset({"masked"})

    decay: float = knob(1.0, "loss of weight to the right (lambda); the authors' scripts have 0 to .5", 0, 10)
    cap: float = knob(1.0, "most that confidence times surprise counts (alpha); the authors' scripts have 10", 0, 100)
    background: str = knob(
        "uniform", "frequency of tokens in general: uniform, or a JSON file of counts", choices=("uniform", "*.json")
    )

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        ids, sure = view.prediction.ids, view.prediction.confidence
        surprise = -sure * (self._frequency(view, ids.clamp(min=0)) + TINY).log()
        # the leftmost position that is open is the start of the block
        is_open = (view.masked | view.revealed).long()
        place = is_open.clone().fill_(1).cumsum(-1) - 1 - is_open.argmax(-1, keepdim=True)
        score = (-self.decay * place.clamp(min=0)).exp() * surprise.clamp(max=self.cap)
        return Plan(highest(score, view.masked, quota(view)).double(), view.alpha_t * 0)

    def _frequency(self, view: View, ids: Tensor) -> Tensor:
        """Return the frequency of ids [B, L]; those that a file does not name count once."""
        if self.background == "uniform":
            return view.held.new_full(ids.shape, 1 / max(view.vocab_size, 2))
        path = Path(self.background)
        table, total = frequencies(path, path.stat().st_mtime_ns if path.exists() else 0)
        # the last entry is that of every id beyond
        counts = view.held.new_tensor(table)
        return counts[ids.clamp(max=len(counts) - 1)] / total

    def keeps_quota(self) -> str:
        return "llada"

    def reveal_rule(self, revealed: int, masked: int) -> str:
        weight = f"exp(-{short(self.decay)} j) min(-p log f, {short(self.cap)})"
        return f"one of the {revealed} with the highest {weight}, out of {masked} masked"


@lru_cache(maxsize=4)
def frequencies(path: Path, changed: int) -> tuple[NDArray[np.float64], float]:
    """Return the count of each token id, 1 where the file has none, and the number of tokens counted.

    The file is PC-Sampler's, {"num_token": 9, "p_baseline_dict": {"17": 4, ...}}, or the counts alone.
    changed: its time stamp, so that a new file is read.  Raises ValueError for a file that holds neither.
    """
    try:
        found = json.loads(regular_file(path).read_bytes())
        counts = found.get("p_baseline_dict", found)
        ids, values = (
            np.array(list(map(int, counts)), dtype=np.int64),
            np.array(list(counts.values()), dtype=np.float64),
        )
        total = float(found.get("num_token", values.sum()))
        if not len(ids) or (ids < 0).any() or not (values >= 0).all() or not 0 < total < np.inf:
            raise ValueError(f"{len(ids)} counts of {total:g} tokens")
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} holds no token frequencies ({error}): it has to be a JSON object of counts by token id"
        ) from None
    table = np.ones(int(ids.max()) + 2)
    table[ids] = values
    return table, total
