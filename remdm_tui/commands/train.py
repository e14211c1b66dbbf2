"""`train`: drives the engine's training loop, shows it, logs it, and ends it so that it can go on."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

import msgspec

from remdm_tui.training import Reading, Report, reporting, smoothed

if TYPE_CHECKING:
    from engine.training.config import TrainConfig
    from engine.training.data import Corpus
    from engine.training.shards import Told


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
) -> int:
    """The exit code: 0, or 128 + the signal that stopped it.

    devices, nodes: processes to start on each of so many machines; None: as many as a launcher has started.
    """
    report = reporting(os.environ)
    with report.waiting("preparing the data"):
        # torch takes seconds: the line above is there first
        config = configured(config_path, steps)
        from engine.models import choose_device
        from engine.training.data import prepare
        from engine.training.export import HOME, export_best
        from engine.training.loop import Trainer
        from engine.training.shards import untold
        from engine.training.workers import workers

        place = choose_device(device or "auto")
        team = workers(device or "auto", os.environ, devices, nodes, config.run.strategy)

        def prepared(progress: Told) -> Corpus:
            asked = config.data
            return prepare(
                data, config.model.vocab_size, cache, tokenizer=asked.tokenizer, wrapped=asked.rows == "wrapped",
                progress=progress,
            )  # fmt: skip

        if team.rank == 0:
            prepared(report.preparing)
        team.wait()
        corpus = prepared(untold)
        trainer = Trainer(config, corpus, out, team.device or place, team)
    sizes = ", ".join(f"{len(stream):,} tokens of {split}" for split, stream in corpus.splits.items())
    report.say(f"data: {sizes}, in {cache}")
    if trainer.uncompiled:
        report.say(f"not compiled, which costs speed alone: {trainer.uncompiled}")
    if not export_only:
        if trainer.step:
            report.say(f"continuing from step {trainer.step} of {trainer.checkpoint}")
        readings = smoothed(trainer.run(), config.run.batch * config.model.length)
        log = continued(out / "log.jsonl" if team.rank == 0 else Path(os.devnull), trainer.step)
        try:
            stopped = advance(readings, trainer.save, report, log, team.largest)
        except FloatingPointError as error:
            raise ValueError(
                f"{error}; the last good state is {trainer.checkpoint}: go on with a lower rate or another run.seed"
            ) from error
        if stopped is not None:
            report.say(f"stopped after step {trainer.step}, saved in {trainer.checkpoint}; the same command continues")
            return 128 + stopped
    if team.rank == 0:
        step = export_best(trainer)
        report.say(f"the averaged weights of step {step} are in {out / HOME}: remdm-tui watch --model {out / HOME}")
    return 0


def configured(path: Path, steps: int | None) -> TrainConfig:
    """Raises ValueError naming the file and the key at fault."""
    from engine.training.config import read_config

    try:
        config = read_config(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if steps is None:
        return config
    return msgspec.structs.replace(config, run=msgspec.structs.replace(config.run, steps=steps))


def advance(
    readings: Iterator[Reading],
    save: Callable[[], None],
    report: Report,
    log: AbstractContextManager[IO[str]],
    agree: Callable[[int], int],
) -> int | None:
    """Go on to the end, or until a signal and then save; returns the signal.

    agree: the largest of a number over all processes, so that all stop at one step whichever of them was told.
    """
    with stopping() as stop, log as file, report:
        for reading in readings:
            progress = reading.progress
            file.write(msgspec.json.encode(progress).decode() + "\n")
            report.step(reading)
            told = agree(stop.signal or 0)
            if told and progress.step < progress.steps:
                if not progress.saved:
                    save()
                return told
    return None


@dataclass
class Stop:
    signal: int | None = None


@contextmanager
def stopping() -> Iterator[Stop]:
    """Inside, the first SIGINT or SIGTERM is noted for the step to finish; the second acts as it always does."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()


@contextmanager
def continued(log: Path, step: int) -> Iterator[IO[str]]:
    """The log, one JSON object a step, without what an earlier run did beyond `step`; what is no file is written to."""
    if log.exists() and not log.is_file():
        with log.open("w", encoding="utf-8") as file:
            yield file
        return
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    kept = [line for line in lines if _step_of(line) <= step]
    part = log.with_name(log.name + ".part")
    part.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    os.replace(part, log)
    with log.open("a", encoding="utf-8", buffering=1) as file:
        yield file


def _step_of(line: str) -> float:
    """Of a line cut off by a crash: infinity."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
