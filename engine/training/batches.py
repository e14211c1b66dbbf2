"""Draw the data and noise of one training step from (seed, step) alone, so that resuming is exact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.training.config import TrainConfig
from engine.training.losses import antithetic_times
from engine.training.rows import TrainingData


class Batch(NamedTuple):
    """The random part of a step: the B' of the batch's B rows that one process takes, on the CPU."""

    step: int
    starts: np.ndarray
    """where all rows begin in the training text, int64 [B]"""
    dropout_seed: int
    rows: Tensor
    """tokens, long [B', L]"""
    t: Tensor
    """uniform times, float32 [B']"""
    chance: Tensor
    """uniform in 0 to 1, float32 [B', L]"""


def draw_batch(config: TrainConfig, corpus: TrainingData, step: int, rank: int = 0, world: int = 1) -> Batch:
    """Draw the step's batch for process `rank` of `world`.

    Every process draws the whole batch and takes its rows, so that the loss does not depend on their number.
    """
    run, length = config.run, config.model.length
    numbers = np.random.default_rng((run.seed, step))
    noise = torch.Generator().manual_seed(int(numbers.integers(1 << 62)))
    starts = corpus.batch(length, run.batch, run.seed, step, numbers)
    dropout_seed = int(numbers.integers(1 << 62)) + rank
    share = min(1.0, step / max(run.curriculum, 1))
    t = antithetic_times(run.batch, noise, largest=0.3 + 0.7 * share if run.curriculum else 1.0)
    chance = torch.rand(run.batch, length, generator=noise)
    # strided rows rather than consecutive ones: times rise, and with them the work
    mine = slice(rank, None, world)
    return Batch(
        step, starts, dropout_seed, torch.from_numpy(corpus.at("train", starts[mine], length)), t[mine], chance[mine]
    )
