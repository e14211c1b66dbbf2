"""The command `bench`."""

from __future__ import annotations

from pathlib import Path
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
    semi_ar_table: Annotated[
        bool,
        typer.Option(
            "--semi-ar-table",
            help="The semi-autoregressive table of MDLM's README instead, in miniature: SSD-LM, MDLM and ours.",
        ),
    ] = False,
    model: Annotated[
        str | None, option("--model", "Model over masks of the semi-autoregressive table; default demo.")
    ] = None,
    ssd_lm: Annotated[
        str | None, option("--ssd-lm", "Model of SSD-LM of that table, as --model of other commands takes it.")
    ] = None,
    judge: Annotated[str | None, option("--judge", "Judge of that table; default demo-judge.")] = None,
    references: Annotated[
        str | None, option("--references", "Text for MAUVE in that table, as `eval` takes it; default: no MAUVE.")
    ] = None,
    out: Annotated[
        Path | None, option("--out", "Directory of that table's evaluations, which it resumes; default: none is kept.")
    ] = None,
    count: Annotated[
        int | None, option("--count", "Samples of a table; default 64, of the semi-autoregressive one 32.")
    ] = None,
    length: Annotated[int, typer.Option("--length", help="Tokens of a sample of the table.")] = 1024,
    steps: Annotated[
        list[int] | None,
        option("--steps", "Steps T of a table, any number of times; default 5000 and 10000, or once 1000."),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", help="Samples of a table in the network at once.")] = 1,
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
    """Measure the sampler's step against the dense one, or make one of the tables of MDLM's README."""
    from remdm_tui.commands.bench import print_timing, run

    if semi_ar_table:
        from remdm_tui.commands.bench_semi_ar import run as semi_ar
        from remdm_tui.commands.eval_arguments import EvalArguments
        from remdm_tui.settings.run_arguments import RunArguments

        if len(steps or ()) > 1:
            raise ValueError("--semi-ar-table takes one --steps, of a window and of a block of SSD-LM")
        semi_ar(
            RunArguments(
                model=model, steps=steps[0] if steps else None, batch=batch, seed=seed, device=device,
                dtype=dtype[0] if dtype else None,
            ),
            EvalArguments(out or Path(), count=count, judge=judge, references=references),
            ssd_lm=ssd_lm, keep=out is not None, threads=threads, as_json=as_json,
        )  # fmt: skip
        return
    if timing_table:
        print_timing(
            count=count or 64, length=length, steps=steps or (), batch=batch, samples=timed_samples,
            timed_steps=timed_steps, processor=processor_time, quick=quick, as_json=as_json,
            dtype=dtype[0] if dtype else "float32", device=device or "cpu", threads=threads, seed=seed,
        )  # fmt: skip
        return
    run(
        parts or (), quick=quick, as_json=as_json, dtypes=dtype or (), probabilities=law or (),
        allocators=allocator or (), threads=threads, repeats=repeats, seed=seed, processor=processor_time,
    )  # fmt: skip
