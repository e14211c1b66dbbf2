"""The training loop: a generator of `TrainProgress` that checkpoints, resumes exactly and never prints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from engine.files.checkpoint_files import drop, keep, set_aside, write_state
from engine.files.checksums import replace_checked
from engine.files.run_layout import BEST, CHECKPOINT, TOKENIZER
from engine.models.checkpoint import model_config
from engine.models.dit import DITConfig
from engine.models.kinds import KINDS
from engine.models.loading import Discrete
from engine.models.readers.training_run import NETWORK
from engine.training.batches import Batch, draw_batch
from engine.training.config import TrainConfig, TrainProgress
from engine.training.config_diff import config_differences, corpus_mark, matches_mark
from engine.training.data import check_corpus
from engine.training.ema import EMA
from engine.training.init_from import load_initial_weights
from engine.training.memory_needs import check_needs
from engine.training.objectives import make_objective
from engine.training.optimizers import lr_factor, optimizers
from engine.training.precision import resolve_precision
from engine.training.recovery import RecoveredRun, recover_run, refuse_leftovers
from engine.training.rows import TrainingData
from engine.training.sharding import gather_tensors, load_optimizer, shard_like
from engine.training.spikes import check_loss, next_level
from engine.training.task import TrainingTask, compiled, recompute
from engine.training.validation import validation_bound
from engine.training.workers import SingleWorker, Workers


class Trainer:
    """A run in a directory: its model, optimizers, average and step; `run` advances it.

    workers: the processes that share it, each with a trainer of its own and the same calls.  changed: resume a run
    even if its settings or data differ.  Raises ValueError if the directory holds a run of another network, or one
    with other settings or data unless `changed`.
    """

    def __init__(
        self,
        config: TrainConfig,
        corpus: TrainingData,
        home: Path,
        device: torch.device,
        workers: Workers | None = None,
        *,
        changed: bool = False,
    ) -> None:
        check_corpus(config, corpus)
        self.workers: Workers = workers or SingleWorker()
        if config.run.batch % self.workers.world:
            raise ValueError(
                f"run.batch of {config.run.batch} does not divide among {self.workers.world} processes: take a multiple"
            )
        found = recover_run(home)
        if found is None:
            refuse_leftovers(home, TOKENIZER, corpus.tokenizer.to_str())
        check_needs(config, corpus.mask_id, device, self.workers.world)
        # all processes have read the directory before the first one writes
        self.workers.wait()
        torch.manual_seed(config.run.seed)
        self.config, self.corpus, self.home, self.device = config, corpus, home, device
        self.precision = resolve_precision(config.run.precision, device)
        self.objective = make_objective(config, corpus.end_id)
        self.model = KINDS[self.kind].network(config.network(corpus.mask_id)).to(device)
        self.init_model = None if found else config.run.init
        """the model whose weights this start has taken"""
        if self.init_model is not None:
            load_initial_weights(self.model, self.init_model, corpus, scores=KINDS[self.kind].scores)
        self.uncompiled = self._adapt(task := TrainingTask(self.model, self.objective))
        """why the network is not compiled although it should be"""
        self.task = self.workers.wrap(task)
        self.optimizers = optimizers(self.model, config.optim, self.precision)
        self.ema = EMA(self.model, config.run.ema)
        self._mark = corpus_mark(corpus)
        self.step = 0
        self.best: float | None = None
        self.level: float | None = None
        """the moving average of the loss"""
        self._next_batch: Batch | None = None
        """the batch of the next step"""
        self.changes: list[str] = []
        """the settings and data that have changed since the run began, in words"""
        self.resumed_from = self.checkpoint
        """the checkpoint that this start resumes from"""
        self.recovered = ""
        """why it is not the last checkpoint; empty if it is"""
        self._damaged = False
        """whether the last checkpoint is damaged and will be set aside"""
        self._kept: list[int] = []
        """steps whose step files this run wrote and has not deleted"""
        self._new = found is None
        home.mkdir(parents=True, exist_ok=True)
        if found is not None:
            self._resume(found, changed)
        if self.workers.rank == 0:
            replace_checked(home / TOKENIZER, corpus.tokenizer.to_str().encode())

    def _adapt(self, task: TrainingTask) -> str | None:
        run = self.config.run
        if run.recompute:
            recompute(self.model)
        is_compiled = self.device.type == "cuda" if run.compile is None else run.compile
        return compiled(task, self._rows_together(), self._precision()) if is_compiled else None

    def _rows_together(self) -> int:
        """Return the number of rows in this process's network at a time."""
        mine = self.config.run.batch // self.workers.world
        return min(self.config.run.rows_together or mine, mine)

    @property
    def checkpoint(self) -> Path:
        return self.home / CHECKPOINT

    @property
    def discrete(self) -> Discrete | None:
        """Return the settings of D3PM; None for another objective."""
        return self.config.discrete

    @property
    def kind(self) -> str:
        """Return the kind of network, a key of KINDS."""
        return self.objective.kind

    @property
    def shape(self) -> DITConfig:
        return self.model.config

    @property
    def tokenizer(self) -> Tokenizer:
        return self.corpus.tokenizer

    def run(self) -> Iterator[TrainProgress]:
        """Train to the configured step, one `TrainProgress` a step; closing the generator saves nothing."""
        run = self.config.run
        if self._new:
            # from here on the same command resumes this run, however it ends
            self._write(self.checkpoint, self._state())
            self._new = False
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
                    self._write(self.home / BEST, {"ema": self.ema.state_dict(), "step": self.step})
            saved = last or self.step % run.checkpoint_every == 0
            if saved:
                self.save()
            rate = (self.step - first) * run.batch * self.config.model.length
            yield TrainProgress(
                self.step, run.steps, loss, norm, lr, rate / (time.perf_counter() - began),
                validation, self.best, saved,
            )  # fmt: skip

    def _advance(self) -> tuple[float, float, float]:
        """Take one optimizer step; return its loss, the norm of its gradient and its learning rate."""
        run, optim = self.config.run, self.config.optim
        batch = self._next_batch if self._next_batch and self._next_batch.step == self.step else self._draw(self.step)
        self._seed_dropout(batch.dropout_seed)
        self.model.train()
        losses = self._backward(batch)
        # drawn while a GPU computes this step, since reading its losses waits for it
        self._next_batch = self._draw(self.step + 1) if self.step + 1 < run.steps else None
        loss = self.workers.sum(sum(loss.item() for loss in losses)) / self.workers.world
        norm = float(gather_tensors(nn.utils.clip_grad_norm_(self.model.parameters(), optim.clip)))
        check_loss(loss, norm, batch.starts, step=self.step, limit=run.spike, level=self.level)
        factor = lr_factor(self.step, run.steps, optim)
        for optimizer, base in zip(self.optimizers, (optim.lr, optim.matrix_lr), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = base * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.ema.update(self.model)
        self.level = next_level(self.level, loss)
        return loss, norm, optim.lr * factor

    def _seed_dropout(self, seed: int) -> None:
        # torch.manual_seed also keeps a stack trace for each accelerator not in use yet: a tenth of a small step
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def _draw(self, step: int) -> Batch:
        return draw_batch(self.config, self.corpus, step, self.workers.rank, self.workers.world)

    def _backward(self, batch: Batch) -> list[Tensor]:
        """Add the gradients of these rows, `rows_together` at a time; return the parts of their mean loss."""
        losses = []
        parts = list(
            zip(*(torch.split(x, self._rows_together()) for x in (batch.rows, batch.t, batch.chance)), strict=True)
        )
        for number, part in enumerate(parts, 1):
            with self.workers.without_sync(self.task, enabled=number < len(parts)):
                with self._precision():
                    loss = self.task(*part).sum() / len(batch.rows)
                self.workers.backward(loss)
            losses.append(loss.detach())
        return losses

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    @torch.no_grad()
    def validate(self, batch: int = 32) -> float:
        """Return the objective's bound with the averaged weights on fixed windows and noise, nats per token."""
        self.model.eval()
        with self.ema.applied(self.model), self._precision():
            return validation_bound(self.task, self.corpus, self.config, self.workers, batch)

    def _write(self, path: Path, state: Mapping[str, object]) -> None:
        """Write a state from the first process; all processes must call this to put it together."""
        state = gather_tensors(state)
        if self.workers.rank == 0:
            write_state(path, state)

    def save(self) -> None:
        """Write the checkpoint, and delete step files that are not kept; all processes must call this."""
        stay = self.config.run.keep
        before = self._kept
        if stay:
            self._kept = [*(step for step in before if step != self.step), self.step][-stay:]
        if self._damaged and self.workers.rank == 0:
            set_aside(self.checkpoint)
        self._damaged = False
        self._write(self.checkpoint, self._state())
        if stay and self.workers.rank == 0:
            keep(self.checkpoint, self.step)
            drop(self.home, set(before) - set(self._kept))

    def _state(self) -> dict[str, object]:
        return {
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "ema": self.ema.state_dict(),
            "step": self.step,
            "best": math.inf if self.best is None else self.best,
            "level": math.inf if self.level is None else self.level,
            "config": msgspec.json.encode(self.config).decode(),
            NETWORK: model_config(self.kind, self.shape, self.discrete),
            "data": self._mark,
            "kept": self._kept,
        }

    def _resume(self, found: RecoveredRun, changed: bool) -> None:
        state, before, now, mask = found.state, found.config, self.config, self.corpus.mask_id
        self.resumed_from, self.recovered, self._damaged = found.path, found.note, found.damaged
        self.changes = config_differences(before, now, self.device)
        if "data" in state and not matches_mark(self.corpus, state["data"], self._mark):
            self.changes.append("the data or their tokenizer have changed")
        what = "; ".join(self.changes)
        if (before.objective, before.network(mask), before.optim.name) != (
            now.objective, now.network(mask), now.optim.name
        ):  # fmt: skip
            raise ValueError(f"{self.home} holds a run of another model ({what}): choose another --out or restore it")
        if self.changes and not changed:
            raise ValueError(
                f"{self.home} holds a different run: {what}; restore that, choose another --out, or resume with "
                "--changed"
            )
        try:
            self._load(state)
        except (LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{found.path} is not a checkpoint of this run: {reason}") from error

    def _load(self, state: Mapping[str, Any]) -> None:
        own = self.model.state_dict()
        self.model.load_state_dict(
            {name: shard_like(value, own.get(name, value)) for name, value in state["model"].items()}
        )
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            load_optimizer(optimizer, saved)
        self.ema.load_state_dict(state["ema"])
        self.step = int(state["step"])
        self.best = None if math.isinf(state["best"]) else float(state["best"])
        self.level = None if math.isinf(state.get("level", math.inf)) else float(state["level"])
        self._kept = [int(step) for step in state.get("kept", ())]
