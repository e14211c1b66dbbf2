"""The validation loss of a run: its objective's bound on fixed windows with fixed noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.training.config import TrainConfig
from engine.training.losses import antithetic_times
from engine.training.rows import TrainingData
from engine.training.workers import Workers

VALIDATION_SEED = 20_250


def validation_bound(task: nn.Module, corpus: TrainingData, config: TrainConfig, workers: Workers, batch: int) -> float:
    """Return the bound of a network in evaluation mode, nats per token; all processes must call this.

    batch: windows in the network at a time.
    """
    count, length = config.run.validation_windows, config.model.length
    rows = torch.from_numpy(corpus.spread("validation", length, count))
    noise = torch.Generator().manual_seed(VALIDATION_SEED)
    times = antithetic_times(count, noise)[torch.randperm(count, generator=noise)]
    chance = torch.rand(count, length, generator=noise)
    # all processes take as many windows; surplus ones are computed and ignored
    turns = torch.arange(workers.rank, -(-count // workers.world) * workers.world, workers.world)
    total = 0.0
    for turn in torch.split(turns, batch):
        at = turn.clamp(max=count - 1)
        bound: Tensor = task(rows[at], times[at], chance[at], bound=True)
        total += bound[(turn < count).to(bound.device)].sum().item()
    return workers.sum(total) / count
