"""`train`: drives the engine's training loop, shows it, logs it, and ends it so that it can go on."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Protocol

import msgspec
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from engine.training.config import Progress, TrainConfig

SMOOTHING = 0.98
EVERY = 10.0
"""Seconds between plain lines, at least."""


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
        from engine.training.workers import workers

        place = choose_device(device or "auto")
        team = workers(device or "auto", os.environ, devices, nodes, config.run.strategy)
        if team.rank == 0:
            prepare(data, config.model.vocab_size, cache)
        team.wait()
        corpus = prepare(data, config.model.vocab_size, cache)
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


@dataclass(frozen=True)
class Reading:
    """A step as a person wants to see it."""

    progress: Progress
    loss: float
    """averaged over the last steps"""
    validation: float | None
    """the last one measured"""
    seconds_left: float


def smoothed(steps: Iterator[Progress], tokens_per_step: int) -> Iterator[Reading]:
    """The loss becomes an exponential average, unbiased from its first value on."""
    total = weight = 0.0
    validation: float | None = None
    for progress in steps:
        total = SMOOTHING * total + (1 - SMOOTHING) * progress.loss
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        validation = validation if progress.validation is None else progress.validation
        to_go = (progress.steps - progress.step) * tokens_per_step
        yield Reading(progress, total / weight, validation, to_go / progress.tokens_per_second)


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


# -- what a person sees


class Report(Protocol):
    """Inside its context steps are shown; `say` is for lines that stay."""

    def __enter__(self) -> object: ...

    def __exit__(self, *error: object) -> None: ...

    def say(self, text: str) -> None: ...

    def waiting(self, text: str) -> AbstractContextManager[object]: ...

    def step(self, reading: Reading) -> None: ...


def reporting(environment: Mapping[str, str]) -> Report:
    """As the terminal allows; the first of several processes speaks for all."""
    if any(environment.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")):
        return Silent()
    return Bar() if sys.stdout.isatty() else Lines(time.monotonic)


class Lines:
    """Plain lines, for a file or a pipe: where something was measured, and now and then between."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._last = clock, -math.inf

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def say(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def waiting(self, text: str) -> AbstractContextManager[object]:
        self.say(f"{text} ...")
        return nullcontext()

    def step(self, reading: Reading) -> None:
        now = self._clock()
        if reading.progress.validation is not None or now - self._last >= EVERY:
            self._last = now
            self.say(f"step {reading.progress.step}/{reading.progress.steps}  {figures(reading)}")


class Silent:
    """Of the processes that have no say."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def say(self, text: str) -> None: ...

    def waiting(self, text: str) -> AbstractContextManager[object]:
        return nullcontext()

    def step(self, reading: Reading) -> None: ...


class Bar:
    """A progress bar over a line of figures, for a terminal."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def waiting(self, text: str) -> AbstractContextManager[object]:
        return self._console.status(text)

    def step(self, reading: Reading) -> None:
        progress = reading.progress
        rows = Table.grid(expand=True)
        rows.add_row(ProgressBar(progress.steps, progress.step))
        rows.add_row(Text(f"step {progress.step:,} of {progress.steps:,}  {figures(reading)}"))
        self._live.update(rows)


def figures(reading: Reading) -> str:
    """A step in one line; the bound in nats a token and as a perplexity."""
    progress, bound = reading.progress, "not measured yet"
    if reading.validation is not None and progress.best is not None:
        perplexity = math.exp(min(reading.validation, 700.0))
        bound = f"{reading.validation:.4f} nats, perplexity {perplexity:.1f} (best {progress.best:.4f})"
    seconds = int(reading.seconds_left)
    return (
        f"loss {reading.loss:.4f}  validation {bound}  lr {progress.lr:.2e}  "
        f"{progress.tokens_per_second:,.0f} tokens/s  "
        f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"
    )
