"""`sample`: text to a pipe or a terminal, each sample written as soon as it is finished."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from engine.records import SAMPLING, ModelInfo, Settings
from engine.strategies import make_strategy
from remdm_tui.layout import harmless
from remdm_tui.options import WatchOptions

TASK = TaskID(0)
SEPARATOR = "---"
"""A line between two samples; none before the first or after the last."""


def run(options: WatchOptions, *, count: int, width: int | None, as_json: bool) -> None:
    """Raises ValueError for what the model cannot do, BrokenPipeError when nobody reads on."""
    asked = options.settings
    visible = sys.stdout.isatty()
    with progress(count) as bar:
        bar.update(TASK, description=f"loading {options.model}")
        # torch takes seconds: the note above is there first
        from engine.batch import DEFAULT_WIDTH, samples
        from engine.models import load_model

        model = load_model(options.model, options.device, options.dtype)
        prompt = model.codec.encode(options.prompt) if options.prompt else []
        finished = samples(
            model, make_strategy(asked.strategy, **asked.knobs), range(count), steps=options.steps,
            length=options.length, seed=options.seed, prompt=prompt, width=width or DEFAULT_WIDTH, **shared(asked),
        )  # fmt: skip
        settings = every_setting(options, model.info)
        bar.update(TASK, description="sampling")
        for written, sample in enumerate(finished):
            ids = sample.tokens.tolist()
            text = model.codec.decode(ids)
            if as_json:
                row = {
                    "number": sample.number, "seed": options.seed, "text": text, "ids": ids,
                    "network_calls": sample.network_calls, "settings": settings,
                }  # fmt: skip
                write(msgspec.json.encode(row).decode(), bar)
            else:
                write(f"{SEPARATOR}\n" * bool(written) + (shown(text) if visible else text), bar)
            bar.advance(TASK)


def shared(settings: Settings) -> dict[str, Any]:
    """The settings that are not the strategy's own."""
    return {info.name: getattr(settings, info.name) for info in SAMPLING}


def every_setting(options: WatchOptions, model: ModelInfo) -> dict[str, Any]:
    """What decides a sample besides its seed and number, by name."""
    settings = options.settings
    return {
        "model": model.name, "device": model.device, "dtype": model.dtype,
        "steps": options.steps, "length": options.length, "prompt": options.prompt,
        "strategy": settings.strategy, "knobs": dict(settings.knobs), **shared(settings),
    }  # fmt: skip


def shown(text: str) -> str:
    """For a terminal: lines stay lines, and no character of the model's can do anything."""
    return "\n".join(harmless(line) for line in text.split("\n"))


def progress(count: int) -> Progress:
    """A note on stderr while it is a terminal; it leaves no trace."""
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False,
        disable=not sys.stderr.isatty(),
    )  # fmt: skip
    bar.add_task("", total=count)
    return bar


def write(line: str, bar: Progress) -> None:
    """A line on stdout, at once."""
    # the bar may stand on the terminal that the line is written on
    bar.stop()
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    bar.start()
