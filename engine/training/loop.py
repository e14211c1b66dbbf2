"""The training loop: a generator of `Progress` that checkpoints, resumes exactly and never prints."""

from __future__ import annotations

import math
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from engine.models.checkpoint import NETWORKS, Network
from engine.training.config import OptimSection, Progress, TrainConfig
from engine.training.data import Corpus
from engine.training.ema import EMA
from engine.training.losses import antithetic_times
from engine.training.objectives import make_objective

VALIDATION_SEED = 20_250


def lr_factor(step: int, steps: int, optim: OptimSection) -> float:
    """Linear warm-up to 1, constant, linear cool-down to zero at `steps`."""
    warm = min(1.0, (step + 1) / max(optim.warmup, 1))
    cool = min(1.0, (steps - step) / max(optim.cooldown, 1))
    return min(warm, cool)


def optimizers(model: Network, optim: OptimSection) -> list[torch.optim.Optimizer]:
    """One AdamW, or Muon for the blocks' weight matrices and AdamW for all else."""
    matrices: list[nn.Parameter] = []
    if optim.name == "muon":
        matrices = [p for n, p in model.blocks.named_parameters() if p.ndim == 2 and "adaLN" not in n]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    made: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=optim.lr, betas=optim.betas, weight_decay=optim.weight_decay, fused=True)
    ]
    if matrices:
        made.append(
            torch.optim.Muon(
                matrices, lr=optim.matrix_lr, weight_decay=optim.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
        )
    return made


class Trainer:
    """A run in a directory: its model, optimizers, average and position; `run` advances it.

    Raises ValueError where the directory holds a run of another configuration.
    """

    def __init__(self, config: TrainConfig, corpus: Corpus, home: Path, device: torch.device) -> None:
        if corpus.mask_id != config.model.vocab_size - 1:
            raise ValueError(
                f"the data gave a vocabulary of {corpus.mask_id + 1} tokens, not the configured "
                f"{config.model.vocab_size}: use more text or a smaller vocabulary"
            )
        for split in ("train", "validation"):
            have = len(corpus.splits.get(split, ()))
            if have < config.model.length:
                raise ValueError(f"the data's {split} split holds {have} tokens: a window takes {config.model.length}")
        torch.manual_seed(config.run.seed)
        self.config, self.corpus, self.home, self.device = config, corpus, home, device
        self.objective = make_objective(config, corpus.end_id)
        self.model = NETWORKS[self.objective.kind](config.network(corpus.mask_id)).to(device)
        self.optimizers = optimizers(self.model, config.optim)
        self.ema = EMA(self.model, config.run.ema)
        self.step = 0
        self.best: float | None = None
        home.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume()

    @property
    def checkpoint(self) -> Path:
        return self.home / "last.pt"

    def run(self) -> Iterator[Progress]:
        """Train to the configured step, one `Progress` a step; closing the generator saves nothing."""
        run = self.config.run
        began, first = time.perf_counter(), self.step
        while self.step < run.steps:
            loss, norm, lr = self._advance()
            self.step += 1
            last = self.step == run.steps
            validation = None
            if last or self.step % run.validate_every == 0:
                validation = self.validate()
                if self.best is None or validation < self.best:
                    self.best = validation
                    self._write("best.pt", {"ema": self.ema.state_dict(), "step": self.step})
            saved = last or self.step % run.checkpoint_every == 0
            if saved:
                self.save()
            rate = (self.step - first) * run.batch * self.config.model.length
            yield Progress(
                self.step, run.steps, loss, norm, lr, rate / (time.perf_counter() - began),
                validation, self.best, saved,
            )  # fmt: skip

    def _advance(self) -> tuple[float, float, float]:
        """One optimizer step whose data and noise depend on (seed, step) alone, so that resuming is exact."""
        run, optim = self.config.run, self.config.optim
        numbers = np.random.default_rng((run.seed, self.step))
        noise = torch.Generator().manual_seed(int(numbers.integers(1 << 62)))
        rows = self.corpus.windows("train", self.config.model.length, run.batch, numbers)
        torch.manual_seed(int(numbers.integers(1 << 62)))  # dropout's
        tokens = torch.from_numpy(rows).to(self.device)
        t = antithetic_times(run.batch, noise, largest=self._largest_time())
        self.model.train()
        with self._precision():
            loss = self.objective.loss(self.model, tokens, t, noise).mean()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss.item()} at step {self.step}")
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), optim.clip)
        factor = lr_factor(self.step, run.steps, optim)
        for optimizer, base in zip(self.optimizers, (optim.lr, optim.matrix_lr), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = base * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.ema.update(self.model)
        return loss.item(), norm.item(), optim.lr * factor

    def _largest_time(self) -> float:
        share = min(1.0, self.step / max(self.config.run.curriculum, 1))
        return 0.3 + 0.7 * share if self.config.run.curriculum else 1.0

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.run.precision == "bfloat16")

    @torch.no_grad()
    def validate(self, batch: int = 32) -> float:
        """The objective's bound with the averaged weights, fixed validation windows and noise, nats per token."""
        count = self.config.run.validation_windows
        rows = self.corpus.spread("validation", self.config.model.length, count)
        noise = torch.Generator().manual_seed(VALIDATION_SEED)
        times = antithetic_times(count, noise)[torch.randperm(count, generator=noise)]
        self.model.eval()
        total = 0.0
        with self.ema.applied(self.model), self._precision():
            for tokens, t in zip(torch.split(torch.from_numpy(rows), batch), torch.split(times, batch), strict=True):
                total += self.objective.bound(self.model, tokens.to(self.device), t, noise).sum().item()
        return total / count

    def save(self) -> None:
        self._write(
            "last.pt",
            {
                "model": self.model.state_dict(),
                "optimizers": [o.state_dict() for o in self.optimizers],
                "ema": self.ema.state_dict(),
                "step": self.step,
                "best": math.inf if self.best is None else self.best,
                "config": msgspec.json.encode(self.config).decode(),
            },
        )

    def _write(self, name: str, state: dict[str, object]) -> None:
        """Atomically: a reader sees the old file or the new one, also when the disk is full."""
        part = self.home / (name + ".part")
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.home / name)

    def _resume(self) -> None:
        state = read_state(self.checkpoint, self.device)
        before = msgspec.json.decode(state["config"], type=TrainConfig)
        mask = self.corpus.mask_id
        if (before.objective, before.network(mask)) != (self.config.objective, self.config.network(mask)):
            raise ValueError(
                f"{self.home} holds a run of another model; choose another --out or restore its configuration"
            )
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.ema.load_state_dict(state["ema"])
        self.step = int(state["step"])
        self.best = None if math.isinf(state["best"]) else float(state["best"])


def read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """A file that the trainer has written; raises ValueError for another or a damaged one."""
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is no checkpoint of a training run, or damaged") from error
