"""The command line; every heavy import lives inside its command.

Where somebody waits for a screen the garbage collector rests meanwhile: what is imported stays, and the application
has it begin again.
"""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from remdm_tui.parameters import MODEL, SAMPLING, Ascii, Batch, Device, Json, NoMouse, option, shared

BAD_INPUT = 2
INTERRUPTED = 130


class Group(TyperGroup):
    """The commands; the one place where bad input becomes a sentence.

    The engine and the commands raise ValueError for input that is wrong, OSError for files that cannot be had and
    ModuleNotFoundError for packages that only some commands take; any other exception is a bug and keeps its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # the reader has had enough; what Python still flushes at exit goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            complain("stopped")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            raise typer.Exit(BAD_INPUT) from None
        except (ValueError, ModuleNotFoundError) as error:
            complain(str(error))
            raise typer.Exit(BAD_INPUT) from None


class Described(TyperCommand):
    """A command whose help has `{option}` where `remdm_tui.facts` knows ranges, choices and defaults."""

    def get_help(self, ctx: Any) -> str:
        from remdm_tui.facts import facts

        known = facts()
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                parameter.help = text.format_map(known)  # type: ignore[attr-defined]
        return super().get_help(ctx)


def complain(sentence: str) -> None:
    typer.echo(f"remdm-tui: {sentence}", err=True)


app = typer.Typer(
    cls=Group, rich_markup_mode=None, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A wind tunnel and a debugger for the samplers of masked discrete diffusion language models.",
)  # fmt: skip
lists = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="What there is to choose from.")
app.add_typer(lists, name="list")


def show_version(wanted: bool) -> None:
    if wanted:
        from engine import __version__

        typer.echo(f"remdm-tui {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None: ...


@app.command(cls=Described)
@shared(MODEL, SAMPLING)
def watch(
    ctx: typer.Context,
    batch: Annotated[int | None, option("--batch", "Samples side by side, 1 or more; {batch}.")] = None,
    on: Annotated[
        str | None, option("--on", "Run the engine on this host, through your ssh; the terminal stays here.")
    ] = None,
    remote_python: Annotated[
        str | None,
        option("--remote-python", "The Python on that host that has remdm-tui; default: `remdm-tui engine` there."),
    ] = None,
    remote_command: Annotated[
        str | None,
        option(
            "--remote-command", "What launches `remdm-tui engine` in place of ssh: apptainer, srun, kubectl exec ..."
        ),
    ] = None,
    source: Annotated[
        Path | None, option("--from", "A directory of `eval`: watch how one of its samples came about.")
    ] = None,
    number: Annotated[int | None, option("--sample", "Which sample of --from, 0 or more; default 0.")] = None,
    record: Annotated[
        Path | None, option("--record", "Record the run in this file while it goes on; `replay` opens it.")
    ] = None,
    stops: Annotated[
        list[str] | None,
        option("--break", "Stop when: step 40, remasks 8, token sea, remasked > 8 and t < .3; any number of times."),
    ] = None,
    compare: Annotated[
        list[str] | None,
        option(
            "--compare",
            "A pane of this strategy, on one clock with the others: NAME or NAME:knob=value,...; up to four panes, "
            "--strategy among them beside one --compare or where it is given.",
        ),
    ] = None,
    strategy_file: Annotated[
        str | None,
        option("--strategy-file", "A Python file of your own strategy, loaded again when it changes; `new-strategy`."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin with the defaults, not as the last session ended.")
    ] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Stand still at step 0.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="--model is a training run: show its newest checkpoint as it goes on.")
    ] = False,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
) -> None:
    """Watch a sampler live, and turn its knobs in flight."""
    if not has_terminal():
        raise ValueError("watch needs a terminal for its input and output; in a pipe use `remdm-tui sample`")
    from remdm_tui.asked import Asked
    from remdm_tui.remote import engine_elsewhere

    command, where = engine_elsewhere(on, remote_python, remote_command)
    asked = Asked.of(ctx.params)
    if source is not None:
        from remdm_tui.replayed import sampled

        asked = sampled(source, number or 0, asked)
    elif number is not None:
        raise ValueError("--sample is one of --from DIR")
    if record is not None and record.exists():
        raise ValueError(f"{record} is there already: choose another name, or `remdm-tui replay {record} --model ...`")
    from remdm_tui.debugged import beside, wishes

    asked, more = wishes(asked, stops or (), strategy_file, elsewhere=bool(command))
    options = asked.options(
        follow=follow,
        paused=paused,
        ascii=ascii_only,
        mouse=not no_mouse,
        command=command,
        where=where,
        record=record,
        **more,
    )
    if follow:
        from remdm_tui.following import followed

        followed(options.model.name, bool(options.where))
    gc.disable()
    from remdm_tui.app import run
    from remdm_tui.beginning import comfort, fitted

    brought = comfort(fresh=fresh, keeps_knobs=source is None, tours=True)
    options = fitted(options, brought, asked)
    raise typer.Exit(run(beside(options, compare or (), asked), brought))


@app.command(cls=Described)
@shared(MODEL)
def replay(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A recording of `watch`.", show_default=False)],
    branch: Annotated[int, typer.Option("--branch", help="The branch to begin with, 0 or more.")] = 0,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
) -> None:
    """Open a recording: every step again, without a network; with --model it can be gone on with."""
    if not has_terminal():
        raise ValueError("replay needs a terminal for its input and output; in a pipe use `remdm-tui export`")
    gc.disable()
    from remdm_tui.commands.replay import run

    model = None
    if ctx.params["model"] is not None:
        from remdm_tui.asked import Asked

        model = Asked.of(ctx.params).choice()
    raise typer.Exit(run(file, branch=branch, model=model, ascii_only=ascii_only, mouse=not no_mouse))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A recording of `watch`.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    kind: Annotated[
        str | None,
        option("--kind", "txt | svg | png | gif | cast | html | csv | parquet; default: by the ending of --out."),
    ] = None,
    step: Annotated[int | None, option("--step", "The step of a text or picture; default: the last.")] = None,
    number: Annotated[int, typer.Option("--sample", help="The sample of the batch.")] = 0,
    branch: Annotated[int, typer.Option("--branch", help="The branch.")] = 0,
    columns: Annotated[int, typer.Option("--columns", help="Columns of text on a picture.")] = 100,
    every: Annotated[
        int | None, option("--every", "Steps between two pictures; default: as few as make 600 at most.")
    ] = None,
    rate: Annotated[float, typer.Option("--rate", help="Pictures a second.")] = 20.0,
    light: Annotated[bool, typer.Option("--light", help="Dark on light.")] = False,
    ascii_only: Ascii = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a recording as text, a picture, a moving picture, a page with a player or a table."""
    from remdm_tui.commands.export import run

    said = run(
        file, out, kind, step=step, sample=number, branch=branch, columns=columns, every=every, rate=rate,
        light=light, ascii_only=ascii_only, force=force,
    )  # fmt: skip
    typer.echo(said)


@app.command("new-strategy")
def new_strategy(
    file: Annotated[Path, typer.Argument(help="The Python file to write.", show_default=False)],
) -> None:
    """Begin a strategy of your own: a file with one class and comments, for `watch --strategy-file`."""
    from remdm_tui.commands.new_strategy import run

    typer.echo(run(file))


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

    Each is written as soon as it is finished, so not always in order; a line of --- stands between two.
    """
    from remdm_tui.asked import Asked, at_least_one

    asked = Asked.of(ctx.params)
    options = asked.options()
    at_least_one("count", count)
    from remdm_tui.commands.sample import run

    run(options, count=count, width=asked.batch, as_json=as_json)


@app.command("eval", cls=Described)
@shared(MODEL, SAMPLING)
def evaluate(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Directory of the results; what it has already is gone on with.")],
    axes: Annotated[list[str] | None, typer.Argument(help="More of --sweep.", show_default=False, metavar="")] = None,
    count: Annotated[int | None, option("--count", "Samples, 1 or more; {count}.")] = None,
    batch: Batch = None,
    predictor: Annotated[str | None, option("--predictor", "{predictor}.")] = None,
    sweep: Annotated[
        str | None,
        option("--sweep", "Every combination of name=value,value,... name=..., each in a directory of its own below."),
    ] = None,
    judge: Annotated[
        str | None,
        option("--judge", "Causal model that reads the samples: a name, directory or hub id, or none; {judge}."),
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
        str, typer.Option("--references-split", help="Of a data set, or of files that name splits.")
    ] = "validation",
    references_count: Annotated[
        int | None, option("--references-count", "References at most; default: as many as samples.")
    ] = None,
    conventions: Annotated[
        list[str] | None,
        option("--conventions", "reference | standard, the first is the primary one; default both."),
    ] = None,
    reference_batch: Annotated[
        int, typer.Option("--reference-batch", help="Samples that the reference would draw and pad at a time.")
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
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The results as JSON, an object a line.")] = False,
) -> None:
    """Draw samples and measure them: generative perplexity, entropy, MAUVE, diversity, network calls, seconds.

    Kill it at any time: the same command goes on.  `remdm-tui report OUT` makes tables and plots.
    """
    from remdm_tui.asked import Asked
    from remdm_tui.evaluating import Wanted

    if axes and sweep is None:
        raise ValueError(f"{axes[0]} belongs to nothing: several settings follow --sweep")
    wanted = Wanted(
        out, count=count, predictor=predictor, judge=judge, judge_device=judge_device, judge_dtype=judge_dtype,
        features=features, references=references, references_split=references_split,
        references_count=references_count, conventions=tuple(conventions or Wanted.conventions),
        reference_batch=reference_batch, sweep=(*filter(None, [sweep]), *(axes or ())), devices=devices, nodes=nodes,
        rescore=rescore, quiet=quiet, as_json=as_json,
    )  # fmt: skip
    if slurm is not None:
        from remdm_tui.slurm import submit

        typer.echo(submit(sys.argv[1:], slurm, out))
        return
    from remdm_tui.commands.evaluate import run

    raise typer.Exit(run(Asked.of(ctx.params), wanted))


@app.command(cls=Described)
@shared(MODEL)
def perplexity(
    ctx: typer.Context,
    data: Annotated[
        list[str] | None, option("--data", "A file or directory, any number of times, or one of {datasets}.")
    ] = None,
    preset: Annotated[str | None, option("--preset", "Data, length and tokenizer by name; `list presets`.")] = None,
    split: Annotated[
        str | None, option("--split", "Of a data set, or of files that name splits; default validation.")
    ] = None,
    conventions: Annotated[
        str, typer.Option("--conventions", help="standard | reference | both, the first is the primary one.")
    ] = "standard",
    wrap: Annotated[
        bool, typer.Option("--wrap", help="Rows of start token, text and end token, as MDLM's code makes them.")
    ] = False,
    windows: Annotated[
        int | None, option("--windows", "So many rows at even offsets of the text; default: as the model was trained.")
    ] = None,
    length: Annotated[int | None, option("--length", "Tokens of a row; default: the model's.")] = None,
    batch: Annotated[int | None, option("--batch", "Rows in the network at once; changes the speed alone.")] = None,
    seed: Annotated[int | None, option("--seed", "Of the noise, 0 or more; default 1.")] = None,
    limit: Annotated[int | None, option("--limit", "The first so many rows alone.")] = None,
    out: Annotated[
        Path | None, option("--out", "Directory of rows as they are scored; what it has already is gone on with.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """How likely a model finds given text: a bound for diffusion models, the exact value for causal ones."""
    from remdm_tui.asked import Asked, at_least_one
    from remdm_tui.commands.perplexity import run
    from remdm_tui.presets import read

    chosen = read(preset) if preset is not None else None
    named = data or ([chosen.data] if chosen is not None and chosen.data is not None else [])
    if not named:
        raise ValueError("there is nothing to read: give --data FILE or a data set's name, or a --preset that has one")
    for name, value in (("batch", batch), ("windows", windows), ("length", length), ("limit", limit)):
        if value is not None:
            at_least_one(name, value)
    code = run(
        Asked.of(ctx.params).choice(chosen), named, split=split, conventions=conventions, wrap=wrap, windows=windows,
        length=length if chosen is None or length is not None else chosen.length, batch=batch, seed=seed, limit=limit,
        out=out, as_json=as_json, quiet=quiet,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command()
def report(
    dirs: Annotated[list[Path], typer.Argument(help="Evaluations, or directories that hold some.", show_default=False)],
    out: Annotated[Path | None, option("--out", "Where the files go; default: into DIRS, or what they share.")] = None,
    conventions: Annotated[
        str | None, option("--conventions", "reference | standard; default: the primary ones of each evaluation.")
    ] = None,
    by: Annotated[
        list[str] | None,
        option("--by", "steps | calls | seconds, any number of times: what plots in the terminal are drawn against."),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="Samples of each setting in the page, 0 or more.")] = 20,
) -> None:
    """Tables and plots of evaluations, in the terminal and as report.html, .md, .tex, PNG and SVG."""
    from remdm_tui.commands.report import run

    run(dirs, out, conventions=conventions, by=by or (), samples=samples)


@app.command(cls=Described)
@shared(MODEL)
def doctor(
    ctx: typer.Context,
    as_json: Json = False,
) -> None:
    """Say what is here: versions, devices, attention, terminal; with --model, whether it loads and knows its text."""
    from remdm_tui.asked import Asked
    from remdm_tui.commands.doctor import run

    run(Asked.of(ctx.params).choice(), load=ctx.params["model"] is not None, as_json=as_json)


@app.command("engine", hidden=True)
def serve_terminal() -> None:
    """Be the engine of a terminal elsewhere, on standard input and output."""
    from engine.serve import main as engine

    engine()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option("--host", help="The address to serve on; any but this machine's own lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")] = 8000,
) -> None:
    """Show the same application in a browser; it takes the options of `watch`, or `replay FILE` and its options."""
    words = ctx.args if ctx.args[:1] in (["watch"], ["replay"]) else ["watch", *ctx.args]
    # what is wrong with them is said here and not on every page
    command = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]
    given = command.make_context(words[0], list(words[1:]), parent=ctx.parent).params
    if words[0] == "watch":
        from remdm_tui.asked import Asked

        Asked.of(given).options(where=given["on"] or given["remote_command"] or "")
    from remdm_tui.commands.serve import run

    run(words, host=host, port=port, say=lambda sentence: typer.echo(sentence, err=True))


@lists.command("strategies")
def list_strategies(as_json: Json = False) -> None:
    """The samplers, with their knobs."""
    from remdm_tui.commands.listing import strategies

    typer.echo(strategies(as_json))


@lists.command("models")
def list_models(as_json: Json = False) -> None:
    """Models by name, in the package and of the Hugging Face hub; any other directory, file or id loads too."""
    from remdm_tui.commands.listing import models

    typer.echo(models(as_json))


@lists.command("keys")
def list_keys(as_json: Json = False) -> None:
    """The keys of the terminal by id, as config.toml has them."""
    from remdm_tui.commands.listing import keys

    typer.echo(keys(as_json))


@lists.command("presets")
def list_presets(as_json: Json = False) -> None:
    """Sampling settings by name."""
    from remdm_tui.commands.listing import presets

    typer.echo(presets(as_json))


@app.command(cls=Described)
def train(
    config: Annotated[Path, typer.Option("--config", help="A training configuration, in TOML.")],
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            help="Text, .jsonl or .jsonl.gz with a `text` a line, {datasets}, or hub:org/name; any number of times.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The run's directory; a run found there is continued.")],
    device: Device = None,
    steps: Annotated[
        int | None, option("--steps", "Train to this step, 1 or more; default: the configuration's.")
    ] = None,
    cache: Annotated[
        Path | None, option("--cache", "Where tokenised data is kept; default: `cache` beside the run's directory.")
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
        list[str] | None, typer.Option("--log", help="tensorboard | wandb, beside OUT/log.jsonl; any number of times.")
    ] = None,
    changed: Annotated[
        bool,
        typer.Option("--changed", help="Go on also where configuration or data are not what the run was begun with."),
    ] = False,
    slurm: Annotated[
        str | None,
        option("--slurm", "Submit this to Slurm: nodes=4,devices=8,time=1440,partition=NAME and other sbatch options."),
    ] = None,
) -> None:
    """Train a model to watch and to evaluate.

    Interrupt it at any time: the same command continues.  At the end the best averaged weights are
    written to OUT/model, which `--model OUT/model` of the other commands takes.
    """
    if slurm is not None:
        from remdm_tui.slurm import submit

        typer.echo(submit(sys.argv[1:], slurm, out))
        return
    from remdm_tui.commands.train import run

    code = run(
        config, data, out, device=device, steps=steps, cache=cache or out.parent / "cache", export_only=export_only,
        devices=devices, nodes=nodes, hub=hub, log=log or (), changed=changed,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command(cls=Described)
def bench(
    parts: Annotated[
        list[str] | None, typer.Argument(help="What to measure: {parts}; default all.", show_default=False)
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Sizes that take seconds, to see that it runs.")] = False,
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
    threads: Annotated[int, typer.Option("--threads", help="Threads of torch; 0 is its own choice.")] = 0,
    repeats: Annotated[int, typer.Option("--repeats", help="Timed steps; 0 is the documented number.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Of weights and samples.")] = 0,
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
        int | None, option("--timed-samples", "Draw so many samples of the table and scale, which its rows say.")
    ] = None,
    timed_steps: Annotated[
        int | None, option("--timed-steps", "Time so many steps of each scheme and scale, which the rows say.")
    ] = None,
    processor_time: Annotated[
        bool,
        typer.Option("--processor-time", help="Table and judge in processor seconds, for a machine that is shared."),
    ] = False,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Measure the sampler's step against the dense one, or all schemes against each other with --timing-table."""
    from remdm_tui.commands.bench import run, timing

    if timing_table:
        timing(
            count=count, length=length, steps=steps or (), batch=batch, samples=timed_samples, timed_steps=timed_steps,
            processor=processor_time, quick=quick, as_json=as_json, dtype=dtype[0] if dtype else "float32",
            device=device or "cpu", threads=threads, seed=seed,
        )  # fmt: skip
        return
    run(
        parts or (), quick=quick, as_json=as_json, dtypes=dtype or (), laws=law or (), allocators=allocator or (),
        threads=threads, repeats=repeats, seed=seed, processor=processor_time,
    )  # fmt: skip


def has_terminal() -> bool:
    """Whether somebody can see and press keys: at a terminal, or through the pipes to a browser's page."""
    served = os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")
    return served or (is_terminal(sys.stdin) and is_terminal(sys.stdout))


def is_terminal(stream: Any) -> bool:
    """False also for a stream that was closed."""
    return stream is not None and not stream.closed and stream.isatty()


def main() -> None:
    """Entry point of `remdm-tui`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
