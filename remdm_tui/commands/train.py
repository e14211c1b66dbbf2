"""`train`: prepares the data and the trainer, runs the loop, and exports the model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.files.atomic import tidy
from engine.files.locks import check_free, exclusive
from engine.files.run_layout import MODEL, WRITTEN
from engine.system.callbacks import ignore
from engine.text.counts import counted
from remdm_tui.commands.progress import Reporter, Silent, on_stdout
from remdm_tui.commands.train_loop import train
from remdm_tui.commands.train_progress import TrainingReport
from remdm_tui.settings import train_configs

if TYPE_CHECKING:
    import torch

    from engine.data.shards import OnPrepared
    from engine.training.config import TrainConfig
    from engine.training.export import Run
    from engine.training.loop import Trainer
    from engine.training.rows import TrainingData
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
    """Train, and return the exit status: 0, or 128 + the signal that stopped it.

    devices, nodes: processes to start on each machine, and number of machines; None: as many as a launcher has
    started.  hub: also export as the hub's models are laid out.  log: names of
    `remdm_tui.commands.train_loggers.LOGS`.  Raises ValueError for bad input, or when the run cannot continue.
    """
    with reporter_of(os.environ) as reporter:
        if not export_only and is_first(os.environ):
            # refused at once: what follows takes seconds
            check_free(out)
        with reporter.waiting("loading torch"):
            # importing it takes seconds: the note is shown first
            config = configured(config_path, steps)
            from engine.models import choose_device
            from engine.training.workers import workers

            check_training_data(config, data)
            default = choose_device(device or "auto")
            team = workers(device or "auto", os.environ, devices, nodes, config.run.strategy)
        if export_only:
            # it only reads, so that another process may train meanwhile
            if team.rank == 0:
                from engine.training.export import saved_run

                export_average(saved_run(out, config), hub, reporter)
            return 0
        # the first process holds the lock for all
        with exclusive(out) if team.rank == 0 else nullcontext():
            report = TrainingReport(reporter)
            with reporter.waiting("preparing the data"):
                if team.rank == 0:
                    tidy(out, WRITTEN)
                trainer = prepared(config, data, cache, out, team.device or default, team, report, reporter, changed)
            sizes = ", ".join(
                f"{counted(len(stream), 'token', form=',')} of {split}"
                for split, stream in trainer.corpus.splits.items()
            )
            reporter.message(f"data: {sizes}, in {cache}")
            stopped = train(trainer, report, reporter, log)
            reporter.stop()
            if stopped is not None:
                reporter.message(
                    f"stopped after step {trainer.step}, saved in {trainer.checkpoint}; the same command continues"
                )
                return 128 + stopped
            if team.rank == 0:
                export_average(trainer, hub, reporter)
            return 0


def reporter_of(environment: Mapping[str, str]) -> Reporter:
    """Return the reporter of this process: only the first of several shows anything."""
    return on_stdout() if is_first(environment) else Silent()


def is_first(environment: Mapping[str, str]) -> bool:
    """Return whether this is the first process of its run, or the only one."""
    return all(environment.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def export_average(run: Run, hub: bool, reporter: Reporter) -> None:
    """Write the best averages as a model, and report where it is. Raises ValueError."""
    from engine.training.export import export_best, export_hub

    step, home = export_best(run), run.home / MODEL
    reporter.message(f"the averaged weights of step {step} are in {home}: remdm-tui watch --model {home}")
    if hub:
        reporter.message(f"and, as the hub's models are laid out, in {export_hub(run)}")


def prepared(
    config: TrainConfig,
    data: Sequence[Path],
    cache: Path,
    out: Path,
    device: torch.device,
    team: Workers,
    report: TrainingReport,
    reporter: Reporter,
    changed: bool = False,
) -> Trainer:
    """Return the trainer with its data, which the first process prepares for all.

    Raises ValueError for bad data, or where the first process has ended.
    """
    from engine.training.data import prepare
    from engine.training.grids import GENERATORS
    from engine.training.loop import Trainer
    from engine.training.workers import is_lost

    def corpus(progress: OnPrepared, notice: Callable[[str], None]) -> TrainingData:
        if config.data.generated is not None:
            return GENERATORS[config.data.generated](config.data.grids, cache, progress)
        return prepare(
            data, config.model.vocab_size, cache, tokenizer=config.data.tokenizer,
            wrapped=config.data.rows == "wrapped", progress=progress, notice=notice,
        )  # fmt: skip

    if team.rank == 0:
        corpus(report.preparing, reporter.message)
    try:
        team.wait()
    except RuntimeError as error:
        if not is_lost(error):
            raise
        raise ValueError(
            "another process of this run has ended before the data were prepared: its own output says why"
        ) from error
    return Trainer(config, corpus(ignore, ignore), out, device, team, changed=changed)


def check_training_data(config: TrainConfig, data: Sequence[Path]) -> None:
    """Raise ValueError for a run without data, or with some that it does not read."""
    if config.data.generated is not None and data:
        raise ValueError(f"this configuration generates its data ({config.data.generated}): leave out --data")
    if config.data.generated is None and not data:
        raise ValueError("--data is missing: name the text to train on, or a --config that generates its data")


def configured(path: Path, steps: int | None) -> TrainConfig:
    """Read a configuration, by path or by name. Raises ValueError with the file and the key at fault."""
    from engine.training.config_file import read_config

    try:
        config = read_config(train_configs.read_train_config(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if steps is None:
        return config
    return msgspec.structs.replace(config, run=msgspec.structs.replace(config.run, steps=steps))
