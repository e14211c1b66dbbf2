"""What the tests of single strategies share: a network with given predictions, and runs of the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.session import Session
from engine.strategies import Prediction, Strategy, View, reads_of
from tests.engine.stats import outcome
from tests.engine.toys import MASK, Toy

COUNT, LENGTH, STEPS = 8_000, 3, 4


class Told(Toy):
    """A toy that predicts each position from a table, by whether it stands there or is masked."""

    def __init__(self, masked: Sequence[Sequence[float]], standing: Sequence[Sequence[float]] | None = None) -> None:
        super().__init__()
        tables = [torch.tensor(table, dtype=torch.float64) for table in (masked, standing or masked)]
        self.tables = [torch.nn.functional.pad(table.log(), (0, 1)) for table in tables]

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        self.encoded += len(tokens)
        return torch.where((tokens == MASK)[..., None], *self.tables)


def view(
    strategy: Strategy, tokens: Sequence[int], *, t: float = 0.5, s: float = 0.25, held: Sequence[float] = (),
    noise: Sequence[float] = (), memory: Any = None, previous: Prediction | None = None, **columns: Sequence[float],
) -> View:  # fmt: skip
    """Return one sequence as a plan sees it, all open.  columns: of the prediction, where it has any."""
    now = torch.tensor([list(tokens)])
    masked = now == MASK
    times = [torch.tensor([[x]], dtype=torch.float64) for x in (t, s)]
    like = torch.zeros(now.shape, dtype=torch.float64)
    seen = Prediction.blank(like)
    kinds = {name: torch.long if name in ("ids", "top") else torch.float64 for name in columns}
    given = {name: torch.tensor([list(column)], dtype=kinds[name]) for name, column in columns.items()}
    seen = seen._replace(**given)
    psi = torch.tensor([list(held)], dtype=torch.float64) if held else like
    uniform = torch.tensor([list(noise)], dtype=torch.float64) if noise else like + 0.5
    uniform = uniform if "noise" in reads_of(strategy) else None
    remembered = strategy.initial_memory(like) if memory is None else memory
    alphas = [strategy.alpha(time) for time in times]
    return View(*times, *alphas, masked, ~masked, psi, seen, previous, remembered, uniform, tokens=now)


def where(plan: Tensor | None) -> list[int]:
    """Return the positions of one sequence that a plan of certainties holds."""
    assert plan is not None
    assert ((plan == 0) | (plan == 1)).all()
    return plan[0].nonzero()[:, 0].tolist()


def fast(
    strategy: Strategy, model: Toy | None = None, *, steps: int = STEPS, length: int = LENGTH, **settings: Any
) -> NDArray[np.int64]:
    """Return outcomes of the last steps of whole trajectories by the engine."""
    session = Session(model or Toy(), strategy, steps=steps, length=length, batch=COUNT, seed=7, **settings)
    return outcome(*[frame.tokens for frame in session if not frame.final][-STEPS:], base=MASK + 1)


def dense(
    strategy: Strategy, model: Toy | None = None, *, steps: int = STEPS, length: int = LENGTH, **settings: Any
) -> NDArray[np.int64]:
    """Return outcomes of the last steps of whole trajectories by the oracle."""
    bound, noise = Settings(strategy.name, **settings), torch.Generator().manual_seed(9)
    tokens, held = torch.full((COUNT, length), MASK), torch.full((COUNT, length), torch.nan, dtype=torch.float64)
    states, memory = [], None
    for times in pairwise(strategy.grid(steps).tolist()):
        t, s = (torch.full((COUNT, 1), time, dtype=torch.float64) for time in times)
        tokens, held, memory = oracle.step(model or Toy(), strategy, bound, tokens, held, t, s, noise, memory=memory)
        states.append(tokens.numpy())
    return outcome(*states[-STEPS:], base=MASK + 1)
