"""The command `bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from remdm_tui.cli.app import Described, app
from remdm_tui.cli.options import Device, Json, option


@app.command(cls=Described)
def bench(
    parts: Annotated[
        list[str] | None, typer.Argument(help="What to measure: {parts}; default all.", show_default=False)
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes that take seconds, for a quick check.")] = False,
    dtype: Annotated[
        list[str] | None, option("--dtype", "float32 | bfloat16, any number of times; default both.")
    ] = None,
    law: Annotated[
        list[str] | None,
        option("--law", "The dense side's probabilities: network | float64, any number of times; default both."),
    ] = None,
    allocator: Annotated[
        list[str] | None,
        option("--allocator", "The C library's: default | keeping, any number of times; default both."),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of torch; 0 is the default of torch.")] = 0,
    repeats: Annotated[int, typer.Option("--repeats", help="Timed steps; 0 is the documented number.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of weights and samples.")] = 0,
    timing_table: Annotated[
        bool, typer.Option("--timing-table", help="The table of MDLM's README instead: seconds by every scheme.")
    ] = False,
    count: Annotated[int, typer.Option("--count", help="Samples of the table.")] = 64,
    length: Annotated[int, typer.Option("--length", help="Tokens of a sample of the table.")] = 1024,
    steps: Annotated[
        list[int] | None, option("--steps", "Steps T of the table, any number of times; default 5000 and 10000.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", help="Samples of the table in the network at once.")] = 1,
    timed_samples: Annotated[
        int | None, option("--timed-samples", "Number of samples to draw; the seconds are scaled, and the rows say so.")
    ] = None,
    timed_steps: Annotated[
        int | None,
        option("--timed-steps", "Number of steps to time of each scheme; the seconds are scaled, and the rows say so."),
    ] = None,
    processor_time: Annotated[
        bool,
        typer.Option(
            "--processor-time", help="Measure table, judge and answers in processor seconds, for a shared machine."
        ),
    ] = False,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Measure the sampler's step against the dense one, or all schemes against each other with --timing-table."""
    from remdm_tui.commands.bench import print_timing, run

    if timing_table:
        print_timing(
            count=count, length=length, steps=steps or (), batch=batch, samples=timed_samples, timed_steps=timed_steps,
            processor=processor_time, quick=quick, as_json=as_json, dtype=dtype[0] if dtype else "float32",
            device=device or "cpu", threads=threads, seed=seed,
        )  # fmt: skip
        return
    run(
        parts or (), quick=quick, as_json=as_json, dtypes=dtype or (), probabilities=law or (),
        allocators=allocator or (), threads=threads, repeats=repeats, seed=seed, processor=processor_time,
    )  # fmt: skip
