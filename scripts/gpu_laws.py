"""Whether a device samples what the CPU samples: equal ids on an exact toy, and the law of the dense update."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.batch import sample
from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.stats import outcome, same_distribution
from tests.engine.test_oracle import LENGTH, STEPS, lively
from tests.engine.test_sampled_ids import ExactToy
from tests.engine.toys import MASK, Toy


class ToyOn(Toy):
    """The toy of the tests on a device."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.place, self.left, self.whole = (x.to(device) for x in (self.place, self.left, self.whole))


class ExactToyOn(ExactToy):
    """The toy whose logits are exact in float32, on a device."""

    fixed_shapes = True

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.place, self.left, self.whole = (x.to(device) for x in (self.place, self.left, self.whole))

    def quality(self, hidden: Tensor) -> Tensor:
        return hidden[:, 0] - hidden[:, 1]


def ids_are_equal(name: str, device: torch.device) -> bool:
    """Return whether samples on the device are those of the CPU, token by token; all arithmetic is float64."""
    cpu = torch.device("cpu")
    found, expected = (
        sample(ExactToyOn(place), make_strategy(name), steps=24, length=32, count=16, seed=1) for place in (device, cpu)
    )
    return torch.equal(found, expected)


def against_the_oracle(name: str, device: torch.device, count: int) -> float:
    """Return the p-value of a two-sample chi-square of whole trajectories against the dense update on the CPU."""
    strategy, shape = lively(name), (count, LENGTH)
    session = Session(ToyOn(device), strategy, steps=STEPS, length=LENGTH, batch=count, seed=11)
    ours = [frame.tokens.astype(np.int64) for frame in session if not frame.final]
    tokens, held = torch.full(shape, MASK), torch.full(shape, torch.nan, dtype=torch.float64)
    noise, settings = torch.Generator().manual_seed(12), Settings(strategy.name)
    theirs, memory = [], None
    for times in pairwise(strategy.grid(STEPS).tolist()):
        t, s = (torch.full((count, 1), time, dtype=torch.float64) for time in times)
        tokens, held, memory = oracle.step(Toy(), strategy, settings, tokens, held, t, s, noise, memory=memory)
        theirs.append(tokens.numpy())
    return same_distribution(*(outcome(*states, base=MASK + 1) for states in (ours, theirs)))
