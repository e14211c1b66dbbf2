"""What a person sees of a training run: a live panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from remdm_tui.console.output import print_message
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import sanitize

if TYPE_CHECKING:
    from engine.data.shards import Prepared
    from engine.training.config import Progress

SMOOTHING = 0.98
EVERY = 10.0
"""Seconds between plain lines, at least."""
KEPT = 4096
"""Losses whose course is shown."""
WIDTH = 60
"""Characters of that course."""
COLUMNS = 3
"""Figures beside each other."""
SHOWN = 400
"""Characters of a text that are shown."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class ProgressReading:
    """A step as a person wants to see it."""

    progress: Progress
    loss: float
    """averaged over the last steps"""
    validation: float | None
    """the last one measured"""
    seconds_left: float
    utilisation: float | None = None
    """share of what the devices do in matrix products alone; None where that was not measured"""


def smoothed(
    steps: Iterator[Progress], tokens_per_step: int, fastest: float | None = None
) -> Iterator[ProgressReading]:
    """The loss becomes an exponential average, unbiased from its first value on.

    fastest: tokens a second that the devices could train on if they did nothing but matrix products.
    """
    total = weight = 0.0
    validation: float | None = None
    for progress in steps:
        total = SMOOTHING * total + (1 - SMOOTHING) * progress.loss
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        validation = validation if progress.validation is None else progress.validation
        to_go = (progress.steps - progress.step) * tokens_per_step
        used = None if fastest is None else progress.tokens_per_second / fastest
        yield ProgressReading(progress, total / weight, validation, to_go / progress.tokens_per_second, used)


class Report(Protocol):
    """Inside its context steps are shown; `say` is for lines that stay."""

    def __enter__(self) -> object: ...

    def __exit__(self, *error: object) -> None: ...

    def say(self, text: str) -> None: ...

    def waiting(self, text: str) -> AbstractContextManager[object]: ...

    def preparing(self, prepared: Prepared) -> None: ...

    def step(self, reading: ProgressReading) -> None: ...

    def sample(self, step: int, text: str) -> None:
        """A text that the model wrote after that step."""
        ...


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
        print_message(sanitize(text))

    def waiting(self, text: str) -> AbstractContextManager[object]:
        self.say(f"{text} ...")
        return nullcontext()

    def preparing(self, prepared: Prepared) -> None:
        now = self._clock()
        if now - self._last >= EVERY:
            self._last = now
            self.say(amount(prepared))

    def step(self, reading: ProgressReading) -> None:
        now = self._clock()
        if reading.progress.validation is not None or now - self._last >= EVERY:
            self._last = now
            self.say(f"step {reading.progress.step}/{reading.progress.steps}  {figures(reading)}")

    def sample(self, step: int, text: str) -> None:
        self.say(f"after step {step}: {printable(' '.join(text.split()))[:SHOWN]}")


class Silent:
    """Of the processes that have no say."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def say(self, text: str) -> None: ...

    def waiting(self, text: str) -> AbstractContextManager[object]:
        return nullcontext()

    def preparing(self, prepared: Prepared) -> None: ...

    def step(self, reading: ProgressReading) -> None: ...

    def sample(self, step: int, text: str) -> None: ...


class Bar:
    """A panel of figures under a progress bar, the loss as it went and the last text, for a terminal."""

    def __init__(self) -> None:
        self._console = SafeConsole()
        self._live = Live(console=self._console, refresh_per_second=4)
        self._losses: deque[float] = deque(maxlen=KEPT)
        self._text: Text | None = None

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(sanitize(text), markup=False, highlight=False, soft_wrap=True)

    def waiting(self, text: str) -> AbstractContextManager[object]:
        self._status = self._console.status(text)
        return self._status

    def preparing(self, prepared: Prepared) -> None:
        self._status.update(amount(prepared))

    def step(self, reading: ProgressReading) -> None:
        self._losses.append(reading.loss)
        self._live.update(panel(reading, list(self._losses), self._text))

    def sample(self, step: int, text: str) -> None:
        shown = printable(" ".join(text.split()))[:SHOWN]
        self._text = Text.assemble((f"after step {step:,}  ", "dim"), shown)


def panel(reading: ProgressReading, losses: list[float], text: Text | None) -> Panel:
    """What a terminal shows of a run: figures by name, the course of the loss, the last text where there is one."""
    progress = reading.progress
    figures = Table.grid(padding=(0, 2), expand=True)
    cells = [Text.assemble((f"{name}  ", "dim"), value) for name, value in named(reading)]
    for start in range(0, len(cells), COLUMNS):
        figures.add_row(*cells[start : start + COLUMNS])
    checked = Text.assemble(("validation  ", "dim"), bound(reading))
    bar = Table.grid(expand=True)  # as by itself it does not end its line
    bar.add_row(ProgressBar(progress.steps, progress.step))
    parts: list[RenderableType] = [bar, figures, checked]
    if len(losses) > 1:
        parts.append(Text.assemble(("loss  ", "dim"), course(losses, WIDTH)))
    if text is not None:
        parts.append(text)
    return Panel(Group(*parts), title=f"step {progress.step:,} of {progress.steps:,}", title_align="left")


def named(reading: ProgressReading) -> list[tuple[str, str]]:
    """Every figure of a step with its name."""
    progress = reading.progress
    used = "not measured" if reading.utilisation is None else f"{reading.utilisation:.0%}"
    return [
        ("loss", f"{reading.loss:.4f}"),
        ("learning rate", f"{progress.lr:.2e}"),
        ("gradient norm", f"{progress.grad_norm:.3f}"),
        ("tokens/s", f"{progress.tokens_per_second:,.0f}"),
        ("MFU", used),
        ("left", clock(reading.seconds_left)),
    ]


def course(values: list[float], width: int) -> str:
    """Values as a line of bars, the average of equal parts each, from the lowest to the highest."""
    size = max(1, -(-len(values) // width))
    means = [sum(part) / len(part) for part in (values[i : i + size] for i in range(0, len(values), size))]
    low, high = min(means), max(means)
    span = high - low or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in means)


def amount(prepared: Prepared) -> str:
    """A preparation in one line."""
    written = f", {prepared.tokens:,} tokens" if prepared.tokens else ""
    return f"{prepared.what} the data: {prepared.documents:,} documents{written}"


def bound(reading: ProgressReading) -> str:
    """The last validation in nats a token and as a perplexity."""
    best = reading.progress.best
    if reading.validation is None or best is None:
        return "not measured yet"
    perplexity = math.exp(min(reading.validation, 700.0))
    return f"{reading.validation:.4f} nats, perplexity {perplexity:.1f} (best {best:.4f})"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def figures(reading: ProgressReading) -> str:
    """A step in one line."""
    progress = reading.progress
    used = "" if reading.utilisation is None else f"  MFU {reading.utilisation:.0%}"
    return (
        f"loss {reading.loss:.4f}  validation {bound(reading)}  lr {progress.lr:.2e}  "
        f"gradient {progress.grad_norm:.3f}  {progress.tokens_per_second:,.0f} tokens/s{used}  "
        f"{clock(reading.seconds_left)} left"
    )


def printable(text: str) -> str:
    """Without what would move a cursor or ring a bell."""
    return "".join(c if c.isprintable() else " " for c in text)
