"""How a command shows what it does: one live display on a terminal, plain lines now and then elsewhere, or nothing."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from remdm_tui.console.output import print_message, print_note
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.progress_line import loading_line

INTERVAL = 10.0
"""Seconds between two plain lines of one stage, at least."""
LOADING_WIDTH = 60
"""Cells of a loading line, next to a spinner and a clock."""
TASK = TaskID(0)


@dataclass(frozen=True)
class Status:
    """How far a command is."""

    stage: str
    """what it is doing; the time left is estimated within one stage"""
    done: int = 0
    total: int = 0
    """0: unknown"""
    text: str = ""
    """stage and count in a plain line, where "sampling 3 of 4" is not what it should say"""
    figures: str = ""
    """running figures in one line"""
    seconds_left: float | None = None
    """None: estimated from the pace since the first status of the stage"""
    is_due: bool = False
    """whether a plain line is written however recent the last one is"""
    picture: Callable[[], RenderableType] | None = None
    """makes what a terminal shows in place of a bar; it stays when the display stops"""

    @property
    def line(self) -> str:
        """Return stage and count for a plain line."""
        return self.text or (f"{self.stage} {self.done:,} of {self.total:,}" if self.total else self.stage)


class Reporter(Protocol):
    """Where the messages and the progress of a command go. Leaving its context stops the display."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def message(self, text: str) -> None:
        """Write a line that stays."""
        ...

    def waiting(self, note: str) -> AbstractContextManager[object]:
        """Return a context in which `note` is shown."""
        ...

    def loading(self, stage: str, done: int, total: int) -> None:
        """Show how many bytes of `total` are loaded; a total of 0 is unknown."""
        ...

    def progress(self, status: Status) -> None:
        """Show how far the command is."""
        ...

    def stop(self) -> None:
        """Take the display off the terminal; the next update starts it again."""
        ...


def on_stderr(*, quiet: bool = False, lines: bool = True, waits: bool = True) -> Reporter:
    """Return the reporter of a command whose result goes to standard output.

    quiet: messages alone, wherever they go.  lines: whether plain lines of progress are written where standard error
    is no terminal.  waits: whether these include notes of loading and waiting.
    """
    if not quiet and sys.stderr.isatty():
        return LiveDisplay(SafeConsole(stderr=True))
    return PlainLines(print_note, lines=lines and not quiet, waits=waits)


def on_stdout() -> Reporter:
    """Return the reporter of a command whose progress is its output."""
    return LiveDisplay(SafeConsole()) if sys.stdout.isatty() else PlainLines(print_message)


class Silent:
    """Shows nothing: the reporter of every process but the first."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def message(self, text: str) -> None: ...

    def waiting(self, note: str) -> AbstractContextManager[object]:
        return nullcontext()

    def loading(self, stage: str, done: int, total: int) -> None: ...

    def progress(self, status: Status) -> None: ...

    def stop(self) -> None: ...


class PlainLines(Silent):
    """Writes a line at the start and the end of a stage, and every INTERVAL in between."""

    def __init__(
        self,
        write: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
        *,
        lines: bool = True,
        waits: bool = True,
    ) -> None:
        self._write, self._lines, self._waits = write, lines, lines and waits
        self._pace = TimeLeft(clock)
        self._stage: str | None = None
        self._written = -math.inf

    def message(self, text: str) -> None:
        self._write(sanitize(text))

    def waiting(self, note: str) -> AbstractContextManager[object]:
        if self._waits:
            self.message(f"{note} ...")
        return nullcontext()

    def loading(self, stage: str, done: int, total: int) -> None:
        if self._waits:
            line = loading_line(stage, done, total, LOADING_WIDTH, ascii_only=True)
            self._progress(Status(stage, done, total, text=line), with_time=False)

    def progress(self, status: Status) -> None:
        if self._lines:
            self._progress(status, with_time=True)

    def _progress(self, status: Status, with_time: bool) -> None:
        left = self._pace.left(status)
        is_last = 0 < status.total == status.done
        is_recent = self._pace.now - self._written < INTERVAL
        if status.stage == self._stage and is_recent and not (is_last or status.is_due):
            return
        self._stage, self._written = status.stage, self._pace.now
        self.message("  ".join(filter(None, (status.line, status.figures, left if with_time else ""))))


class LiveDisplay(Silent):
    """Shows a spinner, a bar or a picture in one place of a terminal, under the messages."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._pace = TimeLeft(clock)
        self._spinner = Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(), console=console
        )
        self._bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False), TextColumn("{task.fields[left]}", markup=False),
            console=console,
        )  # fmt: skip
        self._bar.add_task("", total=None, figures="", left="")
        self._spinner.add_task("", total=None)
        self._spinning = ""
        self._shown: RenderableType = ""
        self._live: Live | None = None

    def message(self, text: str) -> None:
        self._console.print(sanitize(text), markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def waiting(self, note: str) -> Iterator[object]:
        self._spin(note, note)
        try:
            yield self
        finally:
            self.stop()

    def loading(self, stage: str, done: int, total: int) -> None:
        self._spin(stage, loading_line(stage, done, total, LOADING_WIDTH, ascii_only=False))

    def progress(self, status: Status) -> None:
        if status.picture is not None:
            self._show(status.picture())
        elif status.total:
            self._bar.update(
                TASK, description=sanitize(status.stage), completed=status.done, total=status.total,
                figures=sanitize(status.figures), left=self._pace.left(status),
            )  # fmt: skip
            self._show(self._bar)
        else:
            self._spin(status.stage, status.line)

    def stop(self) -> None:
        if self._live is not None:
            # a bar leaves no trace; a picture is the last state of the run
            self._live.transient = self._shown is self._bar or self._shown is self._spinner
            self._live.stop()
            self._live = None

    def _spin(self, stage: str, text: str) -> None:
        if stage != self._spinning:
            # the clock is that of the stage
            self._spinner.reset(TASK)
            self._spinning = stage
        self._spinner.update(TASK, description=sanitize(text))
        self._show(self._spinner)

    def _show(self, renderable: RenderableType) -> None:
        self._shown = renderable
        if self._live is None:
            # data on standard output is not a message of the console on standard error
            self._live = Live(
                console=self._console, get_renderable=lambda: self._shown, refresh_per_second=10,
                redirect_stdout=not self._console.stderr,
            )  # fmt: skip
            self._live.start(refresh=True)


class TimeLeft:
    """Estimates the time left from what was done since the first status of a stage."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.now = -math.inf
        """when the last status came"""
        self._stage: str | None = None
        self._start, self._first = 0.0, 0

    def left(self, status: Status) -> str:
        """Return `0:01:30 left`, or nothing where the pace is not known yet."""
        self.now = self._clock()
        if status.stage != self._stage:
            self._stage, self._start, self._first = status.stage, self.now, status.done
        seconds = status.seconds_left
        if seconds is None and status.total and status.done > self._first:
            # what an earlier start has done does not count for the pace
            seconds = (status.total - status.done) * (self.now - self._start) / (status.done - self._first)
        return "" if seconds is None else f"{hours(seconds)} left"


def hours(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds, such as 1:02:05."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
