"""`train`: drives the engine's training loop, shows it, logs it, and ends it so that it can go on."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

import msgspec

from engine.files.atomic import replace, tidy
from engine.files.locks import alone
from engine.files.run_layout import MODEL, WRITTEN
from engine.system.callbacks import ignore
from remdm_tui.commands.train_loggers import Log, logs, values_of
from remdm_tui.commands.train_progress import ProgressReading, Report, reporting, smoothed
from remdm_tui.settings import train_configs

if TYPE_CHECKING:
    import torch

    from engine.data.shards import Told
    from engine.training.config import TrainConfig
    from engine.training.data import Corpus
    from engine.training.export import Run
    from engine.training.loop import Trainer
    from engine.training.workers import Workers


def run(
    config_path: Path,
    data: Sequence[Path],
    out: Path,
    *,
    device: str | None,
    steps: int | None,
    cache: Path,
    export_only: bool,
    devices: int | None = None,
    nodes: int = 1,
    hub: bool = False,
    log: Sequence[str] = (),
    changed: bool = False,
) -> int:
    """The exit code: 0, or 128 + the signal that stopped it.

    devices, nodes: processes to start on each of so many machines; None: as many as a launcher has started.  hub: also
    export as the hub's models are laid out.  log: names of `remdm_tui.commands.train_loggers.LOGS`.
    """
    report = reporting(os.environ)
    with report.waiting("loading torch"):
        # it takes seconds: the line above is there first
        config = configured(config_path, steps)
        from engine.models import choose_device
        from engine.training.workers import workers

        place = choose_device(device or "auto")
        team = workers(device or "auto", os.environ, devices, nodes, config.run.strategy)
    if export_only:
        # it only reads, and may be made while the run goes on
        if team.rank == 0:
            from engine.training.export import saved_run

            export(saved_run(out, config), hub, report)
        return 0
    # the first process speaks for all
    with alone(out) if team.rank == 0 else nullcontext():
        with report.waiting("preparing the data"):
            if team.rank == 0:
                tidy(out, WRITTEN)
            trainer = prepared(config, data, cache, out, team.device or place, team, report, changed)
        sizes = ", ".join(f"{len(stream):,} tokens of {split}" for split, stream in trainer.corpus.splits.items())
        report.say(f"data: {sizes}, in {cache}")
        stopped = train(trainer, report, log)
        if stopped is not None:
            report.say(f"stopped after step {trainer.step}, saved in {trainer.checkpoint}; the same command continues")
            return 128 + stopped
        if team.rank == 0:
            export(trainer, hub, report)
        return 0


def export(run: Run, hub: bool, report: Report) -> None:
    """Write the best averages as a model, and say where.  Raises ValueError."""
    from engine.training.export import export_best, export_hub

    step, home = export_best(run), run.home / MODEL
    report.say(f"the averaged weights of step {step} are in {home}: remdm-tui watch --model {home}")
    if hub:
        report.say(f"and, as the hub's models are laid out, in {export_hub(run)}")


def prepared(
    config: TrainConfig,
    data: Sequence[Path],
    cache: Path,
    out: Path,
    device: torch.device,
    team: Workers,
    report: Report,
    changed: bool = False,
) -> Trainer:
    """The run with its data, which the first process prepares for all."""
    from engine.training.data import prepare
    from engine.training.loop import Trainer
    from engine.training.workers import is_lost

    def corpus(progress: Told, notice: Callable[[str], None]) -> Corpus:
        return prepare(
            data, config.model.vocab_size, cache, tokenizer=config.data.tokenizer,
            wrapped=config.data.rows == "wrapped", progress=progress, notice=notice,
        )  # fmt: skip

    if team.rank == 0:
        corpus(report.preparing, report.say)
    try:
        team.wait()
    except RuntimeError as error:
        if not is_lost(error):
            raise
        raise ValueError("another process of this run has ended before the data were prepared: it says why") from error
    return Trainer(config, corpus(ignore, ignore), out, device, team, changed=changed)


def train(trainer: Trainer, report: Report, log: Sequence[str]) -> int | None:
    """To the end, or to a signal, which is returned.  Raises ValueError that says what made it stop for good."""
    from torch import OutOfMemoryError

    from engine.training.init_from import recovered
    from engine.training.precision import has_bfloat16
    from engine.training.speed import flops_per_token, matmul_peak
    from engine.training.workers import is_lost

    config, team = trainer.config, trainer.workers
    if trainer.uncompiled:
        report.say(f"not compiled, which costs speed alone: {trainer.uncompiled}")
    if trainer.recovered:
        report.say(trainer.recovered)
    if trainer.step:
        report.say(f"continuing from step {trainer.step} of {trainer.continued_from}")
    if trainer.begun_with is not None:
        report.say(f"begun with the weights of {trainer.begun_with}")
        if note := recovered(trainer.begun_with):
            report.say(note)
    if trainer.changes:
        report.say(f"otherwise than it was begun: {'; '.join(trainer.changes)}")
    if trainer.precision == "bfloat16" and not has_bfloat16(trainer.device):
        report.say(
            "this device has no instructions for bfloat16: float32, which run.precision = 'auto' takes, is faster"
        )
    peak = matmul_peak(trainer.device, trainer.precision, time.perf_counter)
    fastest = team.total(peak) / flops_per_token(config, trainer.corpus.mask_id)
    readings = smoothed(trainer.run(), config.run.batch * config.model.length, fastest)
    first = team.rank == 0
    lines = continued(trainer.home / "log.jsonl" if first else Path(os.devnull), trainer.step)
    settings = msgspec.to_builtins(config)
    try:
        with lines as file, logs(log if first else (), trainer.home, trainer.step, settings) as others, report:
            return advance(readings, trainer, Shown(report, file, others))
    except (MemoryError, OutOfMemoryError) as error:
        raise ValueError(
            f"memory ran out ({' '.join(str(error).split())[:120]}): lower run.rows_together or run.batch; the same "
            f"command continues from {trainer.checkpoint}"
        ) from error
    except FloatingPointError as error:
        raise ValueError(
            f"{error}; the last good state is {trainer.checkpoint}: go on with a lower rate or another run.seed, "
            "and --changed"
        ) from error
    except RuntimeError as error:
        if team.world == 1 or not is_lost(error):
            raise
        raise ValueError(
            f"another process of this run has ended: the same command continues from {trainer.checkpoint}"
        ) from error


@dataclass(frozen=True)
class Shown:
    """Wherever a run is told of."""

    report: Report
    lines: IO[str]
    """one JSON object a step"""
    logs: Sequence[Log]

    def step(self, reading: ProgressReading) -> None:
        self.lines.write(msgspec.json.encode(reading.progress).decode() + "\n")
        for log in self.logs:
            log.scalars(reading.progress.step, values_of(reading))
        self.report.step(reading)

    def sample(self, home: Path, step: int, text: str) -> None:
        with continued(home / "samples.jsonl", step - 1) as file:
            file.write(json.dumps({"step": step, "text": text}, ensure_ascii=False) + "\n")
        for log in self.logs:
            log.text(step, text)
        self.report.sample(step, text)


def configured(path: Path, steps: int | None) -> TrainConfig:
    """Read a configuration, by path or by name. Raises ValueError with the file and the key at fault."""
    from engine.training.config_file import read_config

    try:
        config = read_config(train_configs.read(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if steps is None:
        return config
    return msgspec.structs.replace(config, run=msgspec.structs.replace(config.run, steps=steps))


def advance(readings: Iterator[ProgressReading], trainer: Trainer, shown: Shown) -> int | None:
    """Go on to the end, or until a signal and then save; returns the signal.

    All processes stop at one step, whichever of them was told.
    """
    with stopping() as stop:
        for reading in readings:
            progress = reading.progress
            shown.step(reading)
            told = trainer.workers.largest(stop.signal or 0)
            ends = bool(told) and progress.step < progress.steps
            every = trainer.config.run.sample_every
            sampled = every > 0 and progress.step % every == 0
            if (ends or sampled) and not progress.saved:
                trainer.save()
            if ends:
                # the first process writes alone, and would be killed by its launcher when another has ended
                trainer.workers.wait()
                return told
            if sampled and trainer.workers.rank == 0:
                from engine.training.samples import sample_texts

                (text,) = sample_texts(trainer.home, 1, str(trainer.device))
                shown.sample(trainer.home, progress.step, text)
    return None


@dataclass
class Stop:
    signal: int | None = None


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""A person's, a scheduler's, a vanished terminal's, and those by which Slurm is usually asked to warn."""


@contextmanager
def stopping() -> Iterator[Stop]:
    """Inside, the first signal is noted for the step to finish, and others make it no shorter but for Ctrl-C.

    Schedulers and launchers tell every process of a job and then each other, so that the same one comes twice.
    """
    stop = Stop()
    # what runs under nohup goes on without its terminal
    ignored = [number for number in (signal.SIGHUP,) if signal.getsignal(number) == signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in STOPS if number not in ignored}

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = stop.signal or number
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def continued(log: Path, step: int) -> Iterator[IO[str]]:
    """The log, one JSON object a step, without what an earlier run did beyond `step`; what is no file is written to.

    Lines that name no step are not a run's and stay; a last line without an end is one that a kill cut off.
    """
    if log.exists() and not log.is_file():
        with log.open("w", encoding="utf-8") as file:
            yield file
        return
    lines = log.read_bytes().splitlines(keepends=True) if log.exists() else []
    kept = [line for line in lines if line.endswith(b"\n") and _step_of(line) <= step]
    if kept != lines or not log.exists():
        replace(log, b"".join(kept))
    with log.open("a", encoding="utf-8", buffering=1) as file:
        yield file


def _step_of(line: bytes) -> float:
    """The step that a line is of; below all for one that names none."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return -math.inf
