"""The training loop of one process: its figures to the reporter and the logs, its samples, its end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from engine.files.regular import regular_file
from engine.files.run_layout import LOG, TEXTS
from remdm_tui.commands.progress import Reporter
from remdm_tui.commands.train_log import continued
from remdm_tui.commands.train_loggers import Log, logs, values_of
from remdm_tui.commands.train_progress import ProgressReading, TrainingReport, smoothed
from remdm_tui.commands.train_stop import stopping

if TYPE_CHECKING:
    from engine.training.loop import Trainer


def train(trainer: Trainer, report: TrainingReport, reporter: Reporter, log: Sequence[str]) -> int | None:
    """Train to the end and return None, or stop at a signal and return it.

    Raises ValueError for a log that is no file, and when memory runs out, the loss is not finite or another process of
    the run has ended.
    """
    from torch import OutOfMemoryError

    from engine.training.init_from import recovery_note
    from engine.training.precision import has_bfloat16
    from engine.training.speed import flops_per_token, matmul_peak
    from engine.training.workers import is_lost

    config, team = trainer.config, trainer.workers
    if trainer.uncompiled:
        reporter.message(f"not compiled, which costs only speed: {trainer.uncompiled}")
    if trainer.recovered:
        reporter.message(trainer.recovered)
    if trainer.step:
        reporter.message(f"continuing from step {trainer.step} of {trainer.resumed_from}")
    if trainer.init_model is not None:
        reporter.message(f"started from the weights of {trainer.init_model}")
        if note := recovery_note(trainer.init_model):
            reporter.message(note)
    if trainer.changes:
        reporter.message(f"changed since the start of the run: {'; '.join(trainer.changes)}")
    if trainer.precision == "bfloat16" and not has_bfloat16(trainer.device):
        reporter.message(
            "this device has no instructions for bfloat16: float32, which run.precision = 'auto' chooses, is faster"
        )
    peak = matmul_peak(trainer.device, trainer.precision, time.perf_counter)
    fastest = team.sum(peak) / flops_per_token(config, trainer.corpus.mask_id)
    readings = smoothed(trainer.run(), config.run.batch * config.model.length, fastest)
    first = team.rank == 0
    if first:
        regular_file(trainer.home / TEXTS)  # named now, not when the first text is to be written
    lines = continued(trainer.home / LOG if first else Path(os.devnull), trainer.step)
    settings = msgspec.to_builtins(config)
    try:
        with lines as file, logs(log if first else (), trainer.home, trainer.step, settings) as others:
            return _advance(readings, trainer, Outputs(report, file, others))
    except (MemoryError, OutOfMemoryError) as error:
        raise ValueError(
            f"memory ran out ({' '.join(str(error).split())[:120]}): lower run.rows_together or run.batch; the same "
            f"command continues from {trainer.checkpoint}"
        ) from error
    except FloatingPointError as error:
        raise ValueError(
            f"{error}; the last good state is {trainer.checkpoint}: continue with a lower rate or another run.seed, "
            "and --changed"
        ) from error
    except RuntimeError as error:
        if team.world == 1 or not is_lost(error):
            raise
        raise ValueError(
            f"another process of this run has ended: the same command continues from {trainer.checkpoint}"
        ) from error


@dataclass(frozen=True)
class Outputs:
    """Where the figures and texts of a run go."""

    report: TrainingReport
    lines: IO[str]
    """one JSON object per step"""
    logs: Sequence[Log]

    def step(self, reading: ProgressReading) -> None:
        """Write the figures of a step. Raises OSError."""
        self.lines.write(msgspec.json.encode(reading.progress).decode() + "\n")
        for log in self.logs:
            log.scalars(reading.progress.step, values_of(reading))
        self.report.step(reading)

    def sample(self, home: Path, step: int, text: str) -> None:
        """Write a text that the model wrote after a step. Raises OSError."""
        with continued(home / TEXTS, step - 1) as file:
            file.write(json.dumps({"step": step, "text": text}, ensure_ascii=False) + "\n")
        for log in self.logs:
            log.text(step, text)
        self.report.sample(step, text)


def _advance(readings: Iterator[ProgressReading], trainer: Trainer, outputs: Outputs) -> int | None:
    """Train to the end and return None, or save at a signal and return it.

    All processes stop at the same step, whichever of them got the signal.
    """
    with stopping() as stop:
        for reading in readings:
            progress = reading.progress
            outputs.step(reading)
            stopped = trainer.workers.max(stop.signal or 0)
            ends = bool(stopped) and progress.step < progress.steps
            every = trainer.config.run.sample_every
            sampled = every > 0 and progress.step % every == 0
            if (ends or sampled) and not progress.saved:
                trainer.save()
            if ends:
                # only the first process writes, and its launcher would kill it when another has ended
                trainer.workers.wait()
                return stopped
            if sampled and trainer.workers.rank == 0:
                from engine.training.samples import sample_texts

                (text,) = sample_texts(trainer.home, 1, str(trainer.device))
                outputs.sample(trainer.home, progress.step, text)
    return None
