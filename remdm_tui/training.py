"""What a person sees of a training run: a live panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from engine.training.config import Progress
    from engine.training.shards import Prepared

SMOOTHING = 0.98
EVERY = 10.0
"""Seconds between plain lines, at least."""


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


class Report(Protocol):
    """Inside its context steps are shown; `say` is for lines that stay."""

    def __enter__(self) -> object: ...

    def __exit__(self, *error: object) -> None: ...

    def say(self, text: str) -> None: ...

    def waiting(self, text: str) -> AbstractContextManager[object]: ...

    def preparing(self, prepared: Prepared) -> None: ...

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

    def preparing(self, prepared: Prepared) -> None:
        now = self._clock()
        if now - self._last >= EVERY:
            self._last = now
            self.say(amount(prepared))

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

    def preparing(self, prepared: Prepared) -> None: ...

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
        self._status = self._console.status(text)
        return self._status

    def preparing(self, prepared: Prepared) -> None:
        self._status.update(amount(prepared))

    def step(self, reading: Reading) -> None:
        progress = reading.progress
        rows = Table.grid(expand=True)
        rows.add_row(ProgressBar(progress.steps, progress.step))
        rows.add_row(Text(f"step {progress.step:,} of {progress.steps:,}  {figures(reading)}"))
        self._live.update(rows)


def amount(prepared: Prepared) -> str:
    """A preparation in one line."""
    written = f", {prepared.tokens:,} tokens" if prepared.tokens else ""
    return f"{prepared.what} the data: {prepared.documents:,} documents{written}"


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
