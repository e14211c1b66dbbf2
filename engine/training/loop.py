"""The training loop: a generator of `Progress` that checkpoints, resumes exactly and never prints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from engine.models.checkpoint import NETWORKS, Network
from engine.training.config import OptimSection, Progress, TrainConfig
from engine.training.data import Corpus
from engine.training.ema import EMA
from engine.training.losses import antithetic_times
from engine.training.objectives import make_objective
from engine.training.states import keep, read_state, write_state

VALIDATION_SEED = 20_250
LEVEL = 0.95
"""Decay of the average that a spike is measured by."""
SETTLED = 100
"""Steps before which no spike is looked for."""


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
        self.level: float | None = None
        """average loss of late"""
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
                    write_state(self.home / "best.pt", {"ema": self.ema.state_dict(), "step": self.step})
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
        starts = self.corpus.starts("train", self.config.model.length, run.batch, numbers)
        rows = self.corpus.at("train", starts, self.config.model.length)
        torch.manual_seed(int(numbers.integers(1 << 62)))  # dropout's
        t = antithetic_times(run.batch, noise, largest=self._largest_time())
        self.model.train()
        loss = self._backward(torch.from_numpy(rows), t, noise)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), optim.clip).item()
        self._check(loss, norm, starts)
        factor = lr_factor(self.step, run.steps, optim)
        for optimizer, base in zip(self.optimizers, (optim.lr, optim.matrix_lr), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = base * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.ema.update(self.model)
        self.level = loss if self.level is None else LEVEL * self.level + (1 - LEVEL) * loss
        return loss, norm, optim.lr * factor

    def _backward(self, tokens: Tensor, t: Tensor, noise: torch.Generator) -> float:
        """The batch's mean loss, its gradients summed up over as many rows at a time as memory is for."""
        total = 0.0
        size = self.config.run.rows_together or len(tokens)
        for rows, times in zip(torch.split(tokens, size), torch.split(t, size), strict=True):
            with self._precision():
                loss = self.objective.loss(self.model, rows.to(self.device), times, noise).sum() / len(tokens)
            torch.autograd.backward(loss)
            total += loss.item()
        return total

    def _check(self, loss: float, norm: float, starts: np.ndarray) -> None:
        """Raise FloatingPointError before a step that would do harm, with all that is needed to look at its batch."""
        limit, level = self.config.run.spike, self.level
        if math.isfinite(loss) and math.isfinite(norm):
            if not limit or level is None or self.step < SETTLED or loss <= limit * level:
                return
            what = f"the loss jumped to {loss:.4g}, {loss / level:.1f} times its average,"
        else:
            what = f"the loss became {loss} and its gradient {norm}"
        raise FloatingPointError(
            f"{what} at step {self.step}, whose batch begins at the training tokens {', '.join(map(str, starts))}"
        )

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
        write_state(
            self.checkpoint,
            {
                "model": self.model.state_dict(),
                "optimizers": [o.state_dict() for o in self.optimizers],
                "ema": self.ema.state_dict(),
                "step": self.step,
                "best": math.inf if self.best is None else self.best,
                "level": math.inf if self.level is None else self.level,
                "config": msgspec.json.encode(self.config).decode(),
            },
        )
        keep(self.checkpoint, self.step, self.config.run.keep)

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
        self.level = None if math.isinf(state.get("level", math.inf)) else float(state["level"])
