"""The commands that draw samples, evaluate them, or evaluate given text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from remdm_tui.cli.app import CliCommand, Described, app
from remdm_tui.cli.options import MODEL, SAMPLING, AllowCode, Batch, BlockLength, Json, KnobValues, option, shared
from remdm_tui.console.output import print_message


@app.command(cls=Described)
@shared(MODEL, SAMPLING)
def sample(
    ctx: typer.Context,
    batch: Batch = None,
    count: Annotated[int, typer.Option("--count", help="Samples, 1 or more.")] = 4,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line: number, seed, text, ids, network_calls, settings.")
    ] = False,
) -> None:
    """Write samples as plain text or JSON.

    Each is written when it is finished, so not always in order, with a line of --- between two.
    """
    from remdm_tui.settings.run_arguments import RunArguments, at_least_one

    arguments = RunArguments.of(ctx.params)
    options = arguments.options()
    at_least_one("count", count)
    from remdm_tui.commands.sample import run

    run(options, count=count, width=arguments.batch, as_json=as_json)


@app.command("eval", cls=Described)
@shared(MODEL, SAMPLING)
def evaluate(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Directory of the results. Resumes existing results.")],
    axes: Annotated[list[str] | None, typer.Argument(help="More of --sweep.", show_default=False, metavar="")] = None,
    count: Annotated[int | None, option("--count", "Samples, 1 or more; {count}.")] = None,
    batch: Batch = None,
    predictor: Annotated[str | None, option("--predictor", "{predictor}.")] = None,
    sweep: Annotated[
        list[str] | None,
        option("--sweep", "Every combination of name=value,value,... name=..., each in a directory of its own below."),
    ] = None,
    judge: Annotated[
        str | None,
        option("--judge", "Causal model that scores the samples: a name, directory or hub id, or none; {judge}."),
    ] = None,
    judge_device: Annotated[str | None, option("--judge-device", "Where the judge is; default: as --device.")] = None,
    judge_dtype: Annotated[str, typer.Option("--judge-dtype", help="float32 | bfloat16 | auto.")] = "float32",
    features: Annotated[
        str | None, option("--features", "Model whose last states MAUVE compares; default: the judge.")
    ] = None,
    references: Annotated[
        str | None,
        option("--references", "Text for MAUVE: a file, a directory, {datasets}, or none; default: no MAUVE."),
    ] = None,
    references_split: Annotated[
        str, typer.Option("--references-split", help="Split of a data set, or of files that name splits.")
    ] = "validation",
    references_count: Annotated[
        int | None, option("--references-count", "References at most; default: as many as samples.")
    ] = None,
    conventions: Annotated[
        list[str] | None,
        option("--conventions", "reference | standard, the first is the primary one; default both."),
    ] = None,
    reference_batch: Annotated[
        int,
        typer.Option("--reference-batch", help="Texts the reference judges at once; a last partial batch is dropped."),
    ] = 1,
    devices: Annotated[
        int | None, option("--devices", "Processes to start on this machine; torchrun and srun start their own.")
    ] = None,
    nodes: Annotated[int, typer.Option("--nodes", help="Machines, with --devices on each.")] = 1,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Keep the samples of OUT where judge or references have changed.")
    ] = False,
    slurm: Annotated[
        str | None,
        option("--slurm", "Submit this to Slurm: nodes=1,devices=8,time=60,partition=NAME and other sbatch options."),
    ] = None,
    tasks: Annotated[
        str | None,
        option(
            "--tasks",
            "Answer tasks of lm-evaluation-harness instead: names or YAML files, comma-separated. --length and "
            "--steps are then those of an answer. Or solve `sudoku`, which needs no harness.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        option("--limit", "Items of each task at most, 1 or more; default: all, 100 Sudokus for each range of clues."),
    ] = None,
    num_fewshot: Annotated[
        int | None, option("--num-fewshot", "Examples in each prompt, 0 or more; default: as many as the task says.")
    ] = None,
    multiturn: Annotated[
        bool, typer.Option("--multiturn", help="With --chat: examples are turns of the conversation.")
    ] = False,
    system_prompt: Annotated[str | None, option("--system-prompt", "What precedes the prompts of tasks.")] = None,
    draws: Annotated[
        int | None,
        option("--draws", "Maskings of a choice whose likelihood is not exact, 1 or more; default 128."),
    ] = None,
    allow_code_execution: AllowCode = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The results as JSON, an object a line.")] = False,
) -> None:
    """Draw samples and measure them: generative perplexity, entropy, MAUVE, diversity, network calls, seconds.

    Interrupt it at any time: the same command continues.  `remdm-tui report OUT` makes tables and plots.
    """
    from remdm_tui.commands.eval_arguments import EvalArguments, TaskArguments
    from remdm_tui.settings.presets import read_preset
    from remdm_tui.settings.run_arguments import RunArguments

    task_arguments, given = None, RunArguments.of(ctx.params)
    if tasks is None and given.preset is not None:
        tasks = read_preset(given.preset).tasks
    if tasks is not None:
        names = tuple(name.strip() for name in tasks.split(",") if name.strip())
        task_arguments = TaskArguments(
            names, num_fewshot=num_fewshot, limit=limit, multiturn=multiturn, system_prompt=system_prompt, draws=draws,
            runs_code=allow_code_execution,
        )  # fmt: skip
    if axes and not sweep:
        raise ValueError(f"unexpected argument {axes[0]}: give settings to sweep over after --sweep")
    arguments = EvalArguments(
        out, count=count, predictor=predictor, judge=judge, judge_device=judge_device, judge_dtype=judge_dtype,
        features=features, references=references, references_split=references_split,
        references_count=references_count, conventions=tuple(conventions or EvalArguments.conventions),
        reference_batch=reference_batch, sweep=(*(sweep or ()), *(axes or ())), devices=devices, nodes=nodes,
        rescore=rescore, quiet=quiet, as_json=as_json, tasks=task_arguments,
    )  # fmt: skip
    if slurm is not None:
        from remdm_tui.commands.slurm import submit

        print_message(submit(sys.argv[1:], slurm, out))
        return
    from remdm_tui.commands.evaluate import run

    raise typer.Exit(run(given, arguments))


@app.command(cls=Described)
@shared(MODEL)
def perplexity(
    ctx: typer.Context,
    data: Annotated[
        list[str] | None, option("--data", "A file or directory, any number of times, or one of {datasets}.")
    ] = None,
    preset: Annotated[
        str | None, option("--preset", "Data, length and tokenizer by name or from a .toml file; `list presets`.")
    ] = None,
    split: Annotated[
        str | None, option("--split", "Split of a data set, or of files that name splits; default validation.")
    ] = None,
    conventions: Annotated[
        str, typer.Option("--conventions", help="standard | reference | both, the first is the primary one.")
    ] = "standard",
    wrap: Annotated[
        bool, typer.Option("--wrap", help="Rows of start token, text and end token, as MDLM's code makes them.")
    ] = False,
    windows: Annotated[
        int | None,
        option("--windows", "Number of rows, at even offsets of the text; default: as in training."),
    ] = None,
    length: Annotated[int | None, option("--length", "Tokens of a row; default: the model's.")] = None,
    batch: Annotated[int | None, option("--batch", "Rows in the network at once; changes the speed alone.")] = None,
    seed: Annotated[int | None, option("--seed", "Seed of the noise, 0 or more; default 1.")] = None,
    limit: Annotated[int | None, option("--limit", "Number of rows to score, from the first on; default all.")] = None,
    strategy: Annotated[
        str | None,
        option(
            "--strategy",
            "Also the exact likelihood under a deterministic strategy, such as low-confidence or left-to-right.",
        ),
    ] = None,
    knob: KnobValues = None,
    steps: Annotated[int | None, option("--steps", "Steps of the strategy, 1 or more; default: the row's.")] = None,
    block_length: BlockLength = None,
    out: Annotated[Path | None, option("--out", "Directory of the scored rows. Resumes existing results.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Json = False,
) -> None:
    """Measure how likely a model finds given text: a bound for diffusion models, exact for causal ones."""
    from remdm_tui.commands.perplexity import run
    from remdm_tui.settings.presets import read_preset
    from remdm_tui.settings.run_arguments import RunArguments, at_least_one

    chosen = read_preset(preset) if preset is not None else None
    named = data or ([chosen.data] if chosen is not None and chosen.data is not None else [])
    if not named:
        raise ValueError("no data: give --data FILE or the name of a data set, or a --preset that has one")
    for name, value in (
        ("batch", batch),
        ("windows", windows),
        ("length", length),
        ("limit", limit),
        ("steps", steps),
        ("block_length", block_length),
    ):
        if value is not None:
            at_least_one(name, value)
    code = run(
        RunArguments.of(ctx.params).choice(chosen), named, split=split, conventions=conventions, wrap=wrap,
        windows=windows, length=length if chosen is None or length is not None else chosen.length,
        batch=batch, seed=seed, limit=limit, strategy=strategy, knobs=knob or (), steps=steps,
        block_length=block_length, out=out, as_json=as_json, quiet=quiet,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command(cls=CliCommand)
def report(
    dirs: Annotated[list[Path], typer.Argument(help="Directories of evaluations, or above some.", show_default=False)],
    out: Annotated[
        Path | None, option("--out", "Directory of the files; default: DIRS or their common parent.")
    ] = None,
    conventions: Annotated[
        str | None, option("--conventions", "reference | standard; default: the primary ones of each evaluation.")
    ] = None,
    by: Annotated[
        list[str] | None,
        option("--by", "steps | calls | seconds, any number of times: what plots in the terminal are drawn against."),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", help="Samples or items of a setting in the page, 0 or more.")
    ] = 20,
) -> None:
    """Show tables and plots of evaluations, and write them as report.html, .md, .tex, PNG and SVG."""
    from remdm_tui.commands.report import run

    run(dirs, out, conventions=conventions, by=by or (), samples=samples)
