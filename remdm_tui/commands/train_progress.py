"""The figures of a training step: smoothed, in one line, and as a panel for a terminal."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine.text.counts import counted
from remdm_tui.commands.progress import Reporter, Status, hours
from remdm_tui.render.plot import BARS

if TYPE_CHECKING:
    from engine.data.shards import Prepared
    from engine.training.config import TrainProgress

STAGE = "training"
SMOOTHING = 0.98
CURVE_LOSSES = 4096
"""Losses in the panel's curve."""
WIDTH = 60
"""Characters of that curve."""
COLUMNS = 3
"""Figures side by side."""
SAMPLE_LENGTH = 400
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class ProgressReading:
    """A step with its smoothed figures."""

    progress: TrainProgress
    loss: float
    """averaged over the last steps"""
    validation: float | None
    """the last one measured"""
    seconds_left: float
    utilisation: float | None = None
    """fraction of what the devices do in matrix products alone; None where that was not measured"""


def smoothed(
    steps: Iterator[TrainProgress], tokens_per_step: int, fastest: float | None = None
) -> Iterator[ProgressReading]:
    """Yield each step with the exponential average of the loss, unbiased from the first step on.

    fastest: tokens a second that the devices could train on if they did nothing but matrix products.
    """
    total = weight = 0.0
    validation: float | None = None
    for progress in steps:
        total = SMOOTHING * total + (1 - SMOOTHING) * progress.loss
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        validation = validation if progress.validation is None else progress.validation
        tokens_left = (progress.steps - progress.step) * tokens_per_step
        used = None if fastest is None else progress.tokens_per_second / fastest
        yield ProgressReading(progress, total / weight, validation, tokens_left / progress.tokens_per_second, used)


class TrainingReport:
    """Reports a training run, and keeps the losses and the last text for the panel."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._reading: ProgressReading | None = None
        self._losses: deque[float] = deque(maxlen=CURVE_LOSSES)
        self._text: Text | None = None

    def preparing(self, prepared: Prepared) -> None:
        """Report how far the preparation of the data is."""
        self._reporter.progress(Status(STAGE, text=preparation(prepared)))

    def step(self, reading: ProgressReading) -> None:
        """Report a training step."""
        self._losses.append(reading.loss)
        self._reading = reading
        progress = reading.progress
        status = Status(
            STAGE, progress.step, progress.steps, f"step {progress.step}/{progress.steps}", step_figures(reading),
            reading.seconds_left, is_due=progress.validation is not None, picture=self._panel,
        )  # fmt: skip
        self._reporter.progress(status)

    def sample(self, step: int, text: str) -> None:
        """Report a text that the model wrote after a step."""
        shown = without_controls(" ".join(text.split()))[:SAMPLE_LENGTH]
        self._text = Text.assemble((f"after step {step:,}  ", "dim"), shown)
        line = f"after step {step}: {shown}"
        self._reporter.progress(Status(STAGE, text=line, is_due=True, picture=self._panel))

    def _panel(self) -> RenderableType:
        return "" if self._reading is None else progress_panel(self._reading, list(self._losses), self._text)


def progress_panel(reading: ProgressReading, losses: list[float], text: Text | None) -> Panel:
    """Return the figures by name, the curve of the loss and the last text, if there is one, in a frame."""
    progress = reading.progress
    table = Table.grid(padding=(0, 2), expand=True)
    cells = [Text.assemble((f"{name}  ", "dim"), value) for name, value in named_figures(reading)]
    for start in range(0, len(cells), COLUMNS):
        table.add_row(*cells[start : start + COLUMNS])
    validation = Text.assemble(("validation  ", "dim"), validation_line(reading))
    bar = Table.grid(expand=True)  # a bar alone does not end its line
    bar.add_row(ProgressBar(progress.steps, progress.step))
    parts: list[RenderableType] = [bar, table, validation]
    if len(losses) > 1:
        parts.append(Text.assemble(("loss  ", "dim"), curve(losses, WIDTH)))
    if text is not None:
        parts.append(text)
    return Panel(Group(*parts), title=f"step {progress.step:,} of {progress.steps:,}", title_align="left")


def named_figures(reading: ProgressReading) -> list[tuple[str, str]]:
    """Return every figure of a step with its name."""
    progress = reading.progress
    used = "not measured" if reading.utilisation is None else f"{reading.utilisation:.0%}"
    return [
        ("loss", f"{reading.loss:.4f}"),
        ("learning rate", f"{progress.lr:.2e}"),
        ("gradient norm", f"{progress.grad_norm:.3f}"),
        ("tokens/s", f"{progress.tokens_per_second:,.0f}"),
        ("MFU", used),
        ("left", hours(reading.seconds_left)),
    ]


def curve(values: list[float], width: int) -> str:
    """Return values as at most `width` bars, each the mean of an equal part, from the lowest mean to the highest."""
    size = max(1, -(-len(values) // width))
    means = [sum(part) / len(part) for part in (values[i : i + size] for i in range(0, len(values), size))]
    low, high = min(means), max(means)
    span = high - low or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in means)


def preparation(prepared: Prepared) -> str:
    """Return how far a preparation is, in one line."""
    written = f", {counted(prepared.tokens, 'token', form=',')}" if prepared.tokens else ""
    return f"{prepared.what} the data: {counted(prepared.documents, 'document', form=',')}{written}"


def validation_line(reading: ProgressReading) -> str:
    """Return the last validation in nats per token and as a perplexity."""
    best = reading.progress.best
    if reading.validation is None or best is None:
        return "not measured yet"
    perplexity = math.exp(min(reading.validation, 700.0))
    return f"{reading.validation:.4f} nats, perplexity {perplexity:.1f} (best {best:.4f})"


def step_figures(reading: ProgressReading) -> str:
    """Return the figures of a step in one line."""
    progress = reading.progress
    used = "" if reading.utilisation is None else f"  MFU {reading.utilisation:.0%}"
    return (
        f"loss {reading.loss:.4f}  validation {validation_line(reading)}  lr {progress.lr:.2e}  "
        f"gradient {progress.grad_norm:.3f}  {progress.tokens_per_second:,.0f} tokens/s{used}"
    )


def without_controls(text: str) -> str:
    """Return the text with a space for every character that would move a cursor or ring a bell."""
    return "".join(c if c.isprintable() else " " for c in text)
