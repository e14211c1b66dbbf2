"""`sample`: text to a pipe or a terminal, each sample written as soon as it is finished."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from engine.records import SHARED_KNOBS, ModelInfo, RunChoice, Settings
from engine.strategies import catalogue, make_strategy
from engine.text import infill
from remdm_tui.commands.progress import Status, on_stderr
from remdm_tui.console.output import print_data
from remdm_tui.console.sanitize import escape_json
from remdm_tui.settings.watch_options import WatchOptions, fit_to_model

SEPARATOR = "---"
"""The line between two samples."""
BLOCKS = ("block_length", "stride", "strides")


def run(options: WatchOptions, *, count: int, width: int | None, as_json: bool) -> None:
    """Write `count` samples to standard output.

    width: samples in the network at once; None is the device's default.  Raises ValueError for what the model cannot
    do, BrokenPipeError when the reader has closed the pipe.
    """
    with on_stderr(lines=False) as reporter:
        with reporter.waiting(f"loading {options.model.name}"):
            # importing torch takes seconds: the note is shown first
            from engine.models import load_choice
            from engine.sampling.batch import samples

            model = load_choice(options.model, reporter.loading)
        if model.recovered:
            reporter.message(model.recovered)
        settings, planned = fit_to_model(options, model.info, catalogue())
        prompt = model.prompt(planned.prompt, planned.chat, planned.infill)
        steps = planned.steps_after(sum(infill.fixed(prompt, model.mask_id)))
        blocks = {name: getattr(planned, name) for name in BLOCKS}
        finished = samples(
            model, make_strategy(settings.strategy, **settings.knobs), range(count), steps=steps,
            length=planned.length, seed=options.seed, prompt=prompt, width=width, **blocks, **shared_settings(settings),
        )  # fmt: skip
        described = sample_settings(settings, replace(planned, steps=steps), model.info)
        reporter.progress(Status("sampling", 0, count))
        for done, sample in enumerate(finished):
            ids = sample.tokens.tolist()
            text = model.codec.decode(ids)
            # the display may be on the terminal that the sample is written to
            reporter.stop()
            if as_json:
                row = {
                    "number": sample.number, "seed": options.seed, "text": text, "ids": ids,
                    "network_calls": sample.network_calls, "settings": described,
                }  # fmt: skip
                print_data(escape_json(msgspec.json.encode(row).decode()))
            else:
                print_data(f"{SEPARATOR}\n" * bool(done) + text)
            reporter.progress(Status("sampling", done + 1, count))


def shared_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that all strategies share, by name."""
    return {info.name: getattr(settings, info.name) for info in SHARED_KNOBS}


def sample_settings(settings: Settings, run: RunChoice, model: ModelInfo) -> dict[str, Any]:
    """Return what decides a sample besides its seed and number, by name."""
    return {
        "model": model.name, "device": model.device, "dtype": model.dtype,
        "steps": run.steps, "length": run.length, "prompt": run.prompt, "chat": run.chat,
        "infill": run.infill, **{name: getattr(run, name) for name in BLOCKS},
        "strategy": settings.strategy, "knobs": dict(settings.knobs), **shared_settings(settings),
    }  # fmt: skip
