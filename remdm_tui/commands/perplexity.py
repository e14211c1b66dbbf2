"""`perplexity`: how likely a model finds a data set; with a directory, an interrupted command continues."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.models.catalogue import resolve
from engine.records import ModelChoice
from engine.strategies import Strategy, make_strategy
from engine.text.counts import counted
from remdm_tui.commands.progress import Reporter, Status, on_stderr
from remdm_tui.console.output import print_error, print_json, print_result
from remdm_tui.console.sanitize import sanitize
from remdm_tui.console.signals import exit_code
from remdm_tui.settings.knobs import parse_knobs

if TYPE_CHECKING:
    from engine.data.texts import Texts
    from engine.evaluation.perplexity import Measured, Perplexity, PerplexityProgress
    from engine.models import TextModel

CONVENTIONS = {"standard": ("standard",), "reference": ("reference",), "both": ("standard", "reference")}
"""By value of --conventions: the names it stands for, the primary one first."""


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
    strategy: str | None = None,
    knobs: Sequence[str] = (),
    steps: int | None = None,
    block_length: int | None = None,
    out: Path | None = None,
    as_json: bool = False,
    quiet: bool = False,
) -> int:
    """Score the data and return the exit status: 0, or 128 + the signal of an interrupt, after a line on how to resume.

    data: one name of a data set, or files and directories.  strategy, knobs, steps, block_length: a deterministic
    rule, under which the text has an exact likelihood besides.  Raises ValueError for bad input, the cheapest checks
    first, so that nothing is computed in vain.
    """
    if wrap and windows is not None:
        raise ValueError("rows are either wrapped or windows: give --wrap or --windows, not both")
    if conventions not in CONVENTIONS:
        raise ValueError(f"unknown conventions {conventions!r}: choose {', '.join(CONVENTIONS)}")
    order = None if strategy is None else chosen_strategy(strategy, knobs)
    if order is None and (knobs or steps is not None or block_length is not None):
        raise ValueError("--knob, --steps and --block-length are a strategy's: give --strategy, such as low-confidence")
    resolve(choice.name)  # an unknown name is an error before the data are read
    reporter = on_stderr(quiet=quiet, waits=False)
    report = ScoringReport(reporter)
    with reporter:
        try:
            texts = read_texts(data, split, out, reporter)
            model = load_text_model(choice, reporter)
            if model.recovered:
                reporter.message(model.recovered)
            from engine.evaluation.identity import identity
            from engine.evaluation.perplexity import SEED, PerplexityOptions, perplexity
            from engine.metrics.likelihood import BATCH
            from engine.metrics.rule_likelihood import DecodingRule

            layout = "wrap" if wrap else None if windows is None else "windows"
            weights = "" if out is None else identity(choice, model.outside)
            if out is not None and not weights:
                raise ValueError(f"the files of {choice.name} cannot be read again: restore them, or leave out --out")
            question = PerplexityOptions(
                CONVENTIONS[conventions], layout, windows, length, limit, SEED if seed is None else seed, weights,
                None if order is None else DecodingRule(order, steps, block_length),
            )  # fmt: skip
            with reporter.waiting("cutting rows"):
                result = perplexity(
                    model, texts, question, batch=BATCH if batch is None else batch, out=out, report=report.update,
                    notice=reporter.message,
                )  # fmt: skip
        except KeyboardInterrupt as error:
            reporter.stop()
            print_error(stopped(out, report.last))
            return exit_code(error)
    if as_json:
        print_json(msgspec.json.encode(result).decode())
    else:
        print_result(result_text(result, out))
    return 0


def chosen_strategy(name: str, given: Sequence[str]) -> Strategy:
    """Return a strategy by name, with knobs given as name=value. Raises ValueError."""
    return make_strategy(name, **parse_knobs(given, None))


def read_texts(data: Sequence[str], split: str | None, out: Path | None, reporter: Reporter) -> Texts:
    """Return the texts of a data set or of files. Raises OSError first if `out` is not writable, and ValueError."""
    from engine.data.texts import SPLIT, load_texts
    from engine.files.atomic import writable

    if out is not None:
        writable(out)
    with reporter.waiting(f"reading {', '.join(data)}"):
        try:
            source = data[0] if len(data) == 1 else list(map(Path, data))
            return load_texts(source, SPLIT if split is None else split, notice=reporter.message)
        except ModuleNotFoundError as error:
            raise ValueError(str(error)) from error


def load_text_model(choice: ModelChoice, reporter: Reporter) -> TextModel:
    """Return the model. Raises ValueError."""
    with reporter.waiting(f"loading {choice.name}"):
        # importing torch takes seconds: the note is shown first
        from engine.models import load_choice

        return load_choice(choice, reporter.loading)


def _level(measured: Measured) -> str:
    return "" if measured.nll.low is None else f", with {measured.nll.level:.0%} intervals"


def result_text(found: Perplexity, out: Path | None) -> str:
    """Return the result for a person: the figures under each set of conventions, and what they rest on."""
    settings = found.settings
    lines = [f"{settings['model']} on {settings['data']}, split {settings['split']}"]
    for name, measured in found.conventions.items():
        kind = "exact" if measured.bound is None else f"upper bound ({measured.bound})"
        lines += [
            "",
            f"{name} conventions, {kind} over {counted(measured.rows, 'row', form=',')}{_level(measured)}",
            str(measured),
        ]
        lines += [f"  {sentence}" for sentence in measured.sentences]
    if found.rule is not None:
        rule = settings["rule"]
        lines += [
            "",
            f"exact under {rule['strategy']}, {counted(rule['steps'], 'step', form=',')}, over "
            f"{counted(found.rule.rows, 'row', form=',')}{_level(found.rule)}",
            str(found.rule),
            *(f"  {sentence}" for sentence in found.rule.sentences),
        ]
    if out is not None:
        from engine.evaluation.scores import RESULT

        lines += ["", f"everything is in {out / RESULT}"]
    return "\n".join(map(sanitize, lines))


def stopped(out: Path | None, last: PerplexityProgress | None) -> str:
    """Return how far an interrupted run came and how to continue it."""
    if out is None:
        done = "" if last is None else f" after {last.done:,} of {counted(last.total, 'row', form=',')}"
        return f"stopped{done}; with --out DIR the rows are kept, and the same command continues"
    if last is None:
        return f"stopped; the same command continues with what {out} holds"
    done = f"{last.done:,} of {counted(last.total, 'row', form=',')}"
    return f"stopped after {done}, kept in {out}; the same command continues"


class ScoringReport:
    """Reports the progress of scoring, and keeps the last one for the message of an interrupt."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.last: PerplexityProgress | None = None

    def update(self, progress: PerplexityProgress) -> None:
        """Report rows that were scored."""
        before, self.last = self.last, progress
        if before is None and progress.kept:
            self._reporter.message(f"continuing after {progress.kept:,} of {counted(progress.total, 'row', form=',')}")
        if before is not None and progress.batch < before.batch:
            self._reporter.message(f"out of memory: continuing with {counted(progress.batch, 'row')} at a time")
        count = f"row {progress.done:,} of {progress.total:,}"
        self._reporter.progress(Status("scoring", progress.done, progress.total, count, running_figures(progress)))


def running_figures(progress: PerplexityProgress) -> str:
    """Return the running figures in one line."""
    perplexity = math.exp(min(progress.nats, 700.0))
    return f"{progress.conventions}: {progress.nats:.4f} nats a token, perplexity {perplexity:.1f}"
