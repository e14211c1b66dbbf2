"""What a state carries from step to step for its strategy: the strategy's own memory and the last prediction.

It is part of the state, so rewinding, branches and packed batches carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from engine.strategies.base import OwnMemory, Prediction, Strategy, reads_of


class ShownState(NamedTuple):
    """What the network was given in the last step."""

    tokens: Tensor
    """long [B, L]; -1 before the first step"""
    noise: Tensor
    """[B]"""


@dataclass(frozen=True)
class StrategyMemory:
    """The first dimension of every tensor is the batch."""

    owner: str
    """name of the strategy that remembers; another one begins with nothing"""
    own: OwnMemory
    previous: Prediction | None = None
    """the prediction of the last step, if the strategy reads it"""
    shown: ShownState | None = None
    """if the strategy reads `divergence`, which compares with the distribution that follows from it"""

    def rows(self, rows: Sequence[int]) -> StrategyMemory:
        """Return the memory of some sequences."""
        return self._map(lambda value: value[list(rows)])

    def put(self, rows: Sequence[int], part: StrategyMemory) -> StrategyMemory:
        """Return a memory in which `rows` have that of `part`."""
        index = list(rows)

        def placed(whole: Tensor, new: Tensor) -> Tensor:
            whole = whole.clone()
            whole[index] = new
            return whole

        return self._map(placed, part)

    def join(self, other: StrategyMemory) -> StrategyMemory:
        """Return the memory of these sequences and then of those of `other`."""
        return self._map(lambda a, b: torch.cat((a, b)), other)

    def after(self, called: Tensor, prediction: Prediction | None, shown: ShownState) -> StrategyMemory:
        """Return the memory after a step in which the network was read for the sequences called, bool [B].

        The others remember the last step in which it was read for them.
        """

        def later(new: Tensor, old: Tensor) -> Tensor:
            return new.where(called.view(-1, *(1,) * (new.dim() - 1)), old)

        previous = self.previous and prediction and Prediction(*map(later, prediction, self.previous))
        return replace(self, previous=previous, shown=self.shown and ShownState(*map(later, shown, self.shown)))

    def _map(self, change: Callable[..., Tensor], *others: StrategyMemory) -> StrategyMemory:
        own = {name: change(value, *(other.own[name] for other in others)) for name, value in self.own.items()}
        previous = self.previous and Prediction(*map(change, self.previous, *(other.previous for other in others)))
        shown = self.shown and ShownState(*map(change, self.shown, *(other.shown for other in others)))
        return replace(self, own=own, previous=previous, shown=shown)


def begin(strategy: Strategy, held: Tensor) -> StrategyMemory | None:
    """Return the memory before a strategy's first step, held: float64 [B, L]; None where it remembers nothing."""
    like, reads = torch.zeros_like(held), reads_of(strategy)
    own = dict(strategy.initial_memory(like))
    previous = Prediction.blank(like) if "previous" in reads else None
    shown = ShownState(like.long() - 1, like[:, 0]) if "divergence" in reads else None
    if not own and previous is None and shown is None:
        return None
    return StrategyMemory(strategy.name, own, previous, shown)
