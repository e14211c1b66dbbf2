"""The command `train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from remdm_tui.cli.app import Described, app
from remdm_tui.cli.options import MODEL, Device, option, shared
from remdm_tui.console.output import print_message


@app.command(cls=Described)
def train(
    out: Annotated[Path, typer.Option("--out", help="Directory of the run. Resumes an existing run.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help="Text, JSON lines, .json, .csv, .tsv or .parquet (packed too), a directory of these, {datasets}, "
            "or hub:org/name; any number of times. Not where the configuration generates its data.",
        ),
    ] = None,
    config: Annotated[
        Path, typer.Option("--config", help="A training configuration: a TOML file, or one of {configs}.")
    ] = Path("demo"),
    device: Device = None,
    steps: Annotated[
        int | None, option("--steps", "Train to this step, 1 or more; default: the configuration's.")
    ] = None,
    cache: Annotated[
        Path | None,
        option("--cache", "Directory of the tokenised data; default: `cache` next to the run."),
    ] = None,
    export_only: Annotated[
        bool, typer.Option("--export-only", help="Do not train; write the best weights so far to OUT/model.")
    ] = False,
    devices: Annotated[
        int | None, option("--devices", "Processes to start on this machine; torchrun and srun start their own.")
    ] = None,
    nodes: Annotated[int, typer.Option("--nodes", help="Machines, with --devices on each.")] = 1,
    hub: Annotated[
        bool, typer.Option("--hub", help="Write the best weights to OUT/hub too, laid out as the hub's models are.")
    ] = False,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", help="tensorboard | wandb, besides OUT/log.jsonl; any number of times."),
    ] = None,
    changed: Annotated[
        bool,
        typer.Option("--changed", help="Continue although the configuration or the data have changed."),
    ] = False,
    slurm: Annotated[
        str | None,
        option("--slurm", "Submit this to Slurm: nodes=4,devices=8,time=1440,partition=NAME and other sbatch options."),
    ] = None,
) -> None:
    """Train a model to watch and to evaluate.

    Interrupt it at any time: the same command continues.  At the end the best averaged weights are
    written to OUT/model, for `--model OUT/model` of the other commands.
    """
    if slurm is not None:
        from remdm_tui.commands.slurm import submit

        print_message(submit(sys.argv[1:], slurm, out))
        return
    from remdm_tui.commands.train import run

    code = run(
        config, data or (), out, device=device, steps=steps, cache=cache or out.parent / "cache",
        export_only=export_only, devices=devices, nodes=nodes, hub=hub, log=log or (), changed=changed,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command("train-head", cls=Described)
@shared(MODEL)
def train_head(
    ctx: typer.Context,
    data: Annotated[
        list[str], typer.Option("--data", help="A file or directory, any number of times, or one of {datasets}.")
    ],
    out: Annotated[
        Path | None, option("--out", "Directory of the head's file; default: the model's, where it is looked for.")
    ] = None,
    split: Annotated[str | None, option("--split", "Split of a data set; default validation.")] = None,
    steps: Annotated[int | None, option("--steps", "Steps of training, 1 or more; default 300.")] = None,
    batch: Annotated[int | None, option("--batch", "Rows a step, 1 or more; default 8.")] = None,
    rows: Annotated[int | None, option("--rows", "Rows of text at most, 20 or more; default 2,000.")] = None,
    seed: Annotated[int | None, option("--seed", "Seed, 0 or more; default 0.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train a head that scores tokens, on a model that stays as it is, for the strategy prism."""
    from remdm_tui.commands.train_head import run
    from remdm_tui.settings.run_arguments import RunArguments, at_least_one

    for name, value in (("steps", steps), ("batch", batch), ("rows", rows)):
        if value is not None:
            at_least_one(name, value)
    choice = RunArguments.of(ctx.params).choice()
    print_message(run(choice, data, out=out, split=split, steps=steps, batch=batch, rows=rows, seed=seed, quiet=quiet))
