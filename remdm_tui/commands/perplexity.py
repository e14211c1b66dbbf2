"""`perplexity`: how likely a model finds a data set, scored where it can be gone on with, shown as it comes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from engine.models.catalogue import place
from engine.records import ModelChoice
from remdm_tui.commands.sample import LINE, TASK, progress
from remdm_tui.console.output import print_error, print_json, print_note, print_result
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import sanitize
from remdm_tui.console.signals import exit_code
from remdm_tui.render.progress_line import loading_line

if TYPE_CHECKING:
    from engine.data.texts import Texts
    from engine.evaluation.perplexity import Perplexity, PerplexityProgress
    from engine.models import TextModel

CONVENTIONS = {"standard": ("standard",), "reference": ("reference",), "both": ("standard", "reference")}
"""What --conventions takes, and the names that it stands for, the primary one first."""
EVERY = 10.0
"""Seconds between plain lines, at least."""


def run(
    choice: ModelChoice,
    data: Sequence[str],
    *,
    split: str | None = None,
    conventions: str = "standard",
    wrap: bool = False,
    windows: int | None = None,
    length: int | None = None,
    batch: int | None = None,
    seed: int | None = None,
    limit: int | None = None,
    out: Path | None = None,
    as_json: bool = False,
    quiet: bool = False,
) -> int:
    """The exit code: 0, or 128 + the signal where it was interrupted, after a line that says how to go on.

    data: one name of a data set, or files and directories.  Raises ValueError for bad input, of what costs little
    first, so that nothing is computed in vain.
    """
    if wrap and windows is not None:
        raise ValueError("rows are either wrapped or windows: give --wrap or --windows, not both")
    if conventions not in CONVENTIONS:
        raise ValueError(f"unknown conventions {conventions!r}: choose {', '.join(CONVENTIONS)}")
    place(choice.name)  # an unknown name is told before the data are read
    shown = shown_on(sys.stderr, quiet)
    try:
        texts = read(data, split, out, quiet)
        model = loaded(choice, quiet)
        if model.recovered:
            print_note(sanitize(model.recovered))
        from engine.evaluation.identity import identity
        from engine.evaluation.perplexity import SEED, Question, perplexity
        from engine.metrics.likelihood import BATCH

        layout = "wrap" if wrap else None if windows is None else "windows"
        weights = "" if out is None else identity(choice, model.outside)
        if out is not None and not weights:
            raise ValueError(f"the files of {choice.name} cannot be read again: leave out --out, or see to them")
        asked = Question(
            CONVENTIONS[conventions], layout, windows, length, limit, SEED if seed is None else seed, weights
        )
        with shown:
            found = perplexity(
                model, texts, asked, batch=BATCH if batch is None else batch, out=out, report=shown.step,
                notice=lambda sentence: print_note(sanitize(sentence)),
            )  # fmt: skip
    except KeyboardInterrupt as error:
        print_error(stopped(out, shown.last))
        return exit_code(error)
    if as_json:
        print_json(msgspec.json.encode(found).decode())
    else:
        print_result(text(found, out))
    return 0


def read(data: Sequence[str], split: str | None, out: Path | None, quiet: bool) -> Texts:
    """The texts of a data set or of files; before that it is known that the result can be written."""
    from engine.data.texts import SPLIT, load
    from engine.files.atomic import writable

    if out is not None:
        writable(out)
    with waiting(f"reading {', '.join(data)}", quiet):
        try:
            source = data[0] if len(data) == 1 else list(map(Path, data))
            return load(source, SPLIT if split is None else split, notice=print_note)
        except ModuleNotFoundError as error:
            raise ValueError(str(error)) from error


def loaded(choice: ModelChoice, quiet: bool) -> TextModel:
    with waiting(f"loading {choice.name}", quiet) as bar:
        # torch takes seconds: the note above is there first
        from engine.models import load_choice

        def report(stage: str, done: int, total: int) -> None:
            if bar is not None:
                bar.update(TASK, description=loading_line(stage, done, total, LINE, ascii_only=False))

        return load_choice(choice, report)


def waiting(note: str, quiet: bool) -> AbstractContextManager[Progress | None]:
    return nullcontext() if quiet else progress(None, note)


def text(found: Perplexity, out: Path | None) -> str:
    """The result for a person: a line of figures for each set of conventions, and what they rest on."""
    settings = found.settings
    lines = [f"{settings['model']} on {settings['data']}, split {settings['split']}"]
    for how, measured in found.conventions.items():
        kind = "exact" if measured.bound is None else f"upper bound ({measured.bound})"
        level = "" if measured.nll.low is None else f", with {measured.nll.level:.0%} intervals"
        lines += ["", f"{how} conventions, {kind} over {measured.rows:,} rows{level}", str(measured)]
        lines += [f"  {sentence}" for sentence in measured.sentences]
    if out is not None:
        from engine.evaluation.scores import RESULT

        lines += ["", f"everything is in {out / RESULT}"]
    return "\n".join(map(sanitize, lines))


# -- what a person sees meanwhile


def stopped(out: Path | None, last: PerplexityProgress | None) -> str:
    """Of an interrupted run: how far it came and how to go on."""
    if out is None:
        done = "" if last is None else f" after {last.done:,} of {last.total:,} rows"
        return f"stopped{done}; with --out DIR the rows are kept, and the same command continues"
    if last is None:
        return f"stopped; the same command continues with what {out} holds"
    return f"stopped after {last.done:,} of {last.total:,} rows, kept in {out}; the same command continues"


class Quiet:
    """Remembers where the scoring stands, and shows nothing."""

    def __init__(self) -> None:
        self.last: PerplexityProgress | None = None

    def __enter__(self) -> object:
        return self

    def __exit__(self, *error: object) -> None: ...

    def step(self, standing: PerplexityProgress) -> None:
        self.last = standing


class Lines(Quiet):
    """A plain line at the first piece and every so often after."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float]) -> None:
        super().__init__()
        self._write, self._clock = write, clock
        self._said = -math.inf
        self._first: tuple[float, int] | None = None

    def step(self, standing: PerplexityProgress) -> None:
        now, before = self._clock(), self.last
        if self._first is None:
            self._first = now, standing.done
            if standing.kept:
                self.say(f"continuing after {standing.kept:,} of {standing.total:,} rows")
        if before is not None and standing.batch < before.batch:
            self.say(f"out of memory: going on with {standing.batch} rows at a time")
        self.last = standing
        if now - self._said >= EVERY or standing.done == standing.total:
            self._said = now
            self.show(standing, self.left(now, standing))

    def left(self, now: float, standing: PerplexityProgress) -> str:
        """At the pace since the first piece; empty where that is not known."""
        begun, first = self._first or (now, standing.done)
        if standing.done <= first:
            return ""
        seconds = int((standing.total - standing.done) * (now - begun) / (standing.done - first))
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"

    def say(self, line: str) -> None:
        self._write(line)

    def show(self, standing: PerplexityProgress, left: str) -> None:
        self._write("  ".join(filter(None, (f"row {standing.done:,} of {standing.total:,}", figures(standing), left))))


class Bar(Lines):
    """A bar with the running figure and the time left, which leaves no trace."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        super().__init__(lambda line: console.print(line, markup=False, highlight=False), clock)
        columns: list[Any] = [TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()]
        columns.append(TextColumn("{task.fields[left]}", markup=False))
        self._bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
        self._bar.add_task("cutting rows", total=None, left="")

    def __enter__(self) -> object:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def step(self, standing: PerplexityProgress) -> None:
        self._said = -math.inf
        super().step(standing)

    def show(self, standing: PerplexityProgress, left: str) -> None:
        self._bar.update(
            TASK, description=figures(standing), completed=standing.done, total=standing.total, left=left
        )  # fmt: skip


def shown_on(stream: Any, quiet: bool) -> Quiet:
    """A bar for a terminal, lines for anything else."""
    if quiet:
        return Quiet()
    if stream.isatty():
        return Bar(SafeConsole(stderr=True), time.monotonic)
    return Lines(lambda line: print_note(sanitize(line)), time.monotonic)


def figures(standing: PerplexityProgress) -> str:
    """The running figure in one line."""
    perplexity = math.exp(min(standing.nats, 700.0))
    return f"{standing.conventions}: {standing.nats:.4f} nats a token, perplexity {perplexity:.1f}"
