"""`sample`: text to a pipe or a terminal, each sample written as soon as it is finished."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import msgspec
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from engine.records import SAMPLING, ModelInfo, RunChoice, Settings
from engine.strategies import catalogue, make_strategy
from engine.text import infill
from remdm_tui.console.output import print_data
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import escape_json, sanitize
from remdm_tui.render.progress_line import loading_line
from remdm_tui.settings.watch_options import WatchOptions, fitted

TASK = TaskID(0)
SEPARATOR = "---"
"""A line between two samples; none before the first or after the last."""
BLOCKS = ("block_length", "stride", "strides")
LINE = 60
"""Cells of the loading line, beside which the count and the clock stand."""


def run(options: WatchOptions, *, count: int, width: int | None, as_json: bool) -> None:
    """Raises ValueError for what the model cannot do, BrokenPipeError when nobody reads on."""
    with progress(count, f"loading {options.model.name}") as bar:
        # torch takes seconds: the note above is there first
        from engine.models import load_choice
        from engine.sampling.batch import samples

        model = load_choice(
            options.model,
            lambda stage, done, total: bar.update(TASK, description=loading_line(stage, done, total, LINE, False)),
        )
        if model.recovered:
            bar.console.print(sanitize(model.recovered), markup=False, highlight=False, soft_wrap=True)
        asked, planned = fitted(options, model.info, catalogue())
        prompt = model.prompt(planned.prompt, planned.chat, planned.infill)
        steps = planned.steps_after(sum(infill.fixed(prompt, model.mask_id)))
        blocks = {name: getattr(planned, name) for name in BLOCKS}
        finished = samples(
            model, make_strategy(asked.strategy, **asked.knobs), range(count), steps=steps, length=planned.length,
            seed=options.seed, prompt=prompt, width=width, **blocks, **shared(asked),
        )  # fmt: skip
        settings = every_setting(asked, replace(planned, steps=steps), model.info)
        bar.update(TASK, description="sampling")
        for written, sample in enumerate(finished):
            ids = sample.tokens.tolist()
            text = model.codec.decode(ids)
            if as_json:
                row = {
                    "number": sample.number, "seed": options.seed, "text": text, "ids": ids,
                    "network_calls": sample.network_calls, "settings": settings,
                }  # fmt: skip
                write(escape_json(msgspec.json.encode(row).decode()), bar)
            else:
                write(f"{SEPARATOR}\n" * bool(written) + text, bar)
            bar.advance(TASK)


def shared(settings: Settings) -> dict[str, Any]:
    """The settings that are not the strategy's own."""
    return {info.name: getattr(settings, info.name) for info in SAMPLING}


def every_setting(settings: Settings, run: RunChoice, model: ModelInfo) -> dict[str, Any]:
    """What decides a sample besides its seed and number, by name."""
    return {
        "model": model.name, "device": model.device, "dtype": model.dtype,
        "steps": run.steps, "length": run.length, "prompt": run.prompt, "chat": run.chat,
        "infill": run.infill, **{name: getattr(run, name) for name in BLOCKS},
        "strategy": settings.strategy, "knobs": dict(settings.knobs), **shared(settings),
    }  # fmt: skip


def progress(count: int | None, note: str) -> Progress:
    """A note on stderr while it is a terminal; it leaves no trace.  count: how many there will be, if that is known."""
    counted = [] if count is None else [MofNCompleteColumn()]
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), *counted, TimeElapsedColumn(),
        console=SafeConsole(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False,
        disable=not sys.stderr.isatty(),
    )  # fmt: skip
    bar.add_task(sanitize(note), total=count)
    return bar


def write(line: str, bar: Progress) -> None:
    """A line on stdout, at once; a terminal is shown no character that acts on it."""
    # the bar may stand on the terminal that the line is written on
    bar.stop()
    print_data(line)
    bar.start()
