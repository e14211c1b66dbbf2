"""The commands `watch` and `replay`, which start the application, and those that export and write files for them.

The garbage collector is off until the first paint: what is imported stays in memory, and the application enables it.
"""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from remdm_tui.cli.app import CliCommand, Described, app
from remdm_tui.cli.options import MODEL, SAMPLING, AllowCode, Ascii, Json, NoMouse, option, shared
from remdm_tui.console.output import print_message
from remdm_tui.console.sanitize import sanitize


@app.command(cls=Described)
@shared(MODEL, SAMPLING)
def watch(
    ctx: typer.Context,
    batch: Annotated[int | None, option("--batch", "Samples side by side, 1 or more; {batch}.")] = None,
    on: Annotated[
        str | None, option("--on", "Run the engine on this host through ssh; the terminal stays here.")
    ] = None,
    remote_python: Annotated[
        str | None,
        option("--remote-python", "Python with remdm-tui on that host; default: `remdm-tui engine` there."),
    ] = None,
    remote_command: Annotated[
        str | None,
        option(
            "--remote-command",
            "Command that runs `remdm-tui engine` instead of ssh: apptainer, srun, kubectl exec ...",
        ),
    ] = None,
    source: Annotated[
        Path | None, option("--from", "A directory of `eval`: watch how one of its samples was drawn.")
    ] = None,
    number: Annotated[int | None, option("--sample", "Which sample of --from, 0 or more; default 0.")] = None,
    item: Annotated[
        str | None,
        option("--item", "Which item of --from, an evaluation on tasks: its key; the answer is judged at every step."),
    ] = None,
    allow_code_execution: AllowCode = False,
    record: Annotated[Path | None, option("--record", "Record the run in this file; `replay` opens it.")] = None,
    puzzle: Annotated[
        str | None,
        option("--puzzle", "A Sudoku for a model of grids: 81 digits and dots row by row, or a file with them."),
    ] = None,
    breakpoints: Annotated[
        list[str] | None,
        option("--break", "Breakpoint: step 40, remasks 8, token sea, remasked > 8 and t < .3; any number of times."),
    ] = None,
    compare: Annotated[
        list[str] | None,
        option(
            "--compare",
            "Add a pane with this strategy in step with the others: NAME or NAME:knob=value,...; up to four panes. "
            "--strategy is one of them with a single --compare, or if it is given.",
        ),
    ] = None,
    strategy_file: Annotated[
        str | None,
        option(
            "--strategy-file",
            "A Python file of your own strategy, reloaded on changes; see `new-strategy`.",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Use the defaults, not the settings of the last session.")
    ] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Start paused at step 0.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="--model is a training run: load each newer checkpoint.")
    ] = False,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
) -> None:
    """Watch a sampler live, and change its knobs while it runs."""
    if not has_terminal():
        raise ValueError("watch needs a terminal for its input and output; in a pipe use `remdm-tui sample`")
    from remdm_tui.link.remote import remote_engine
    from remdm_tui.settings.run_arguments import RunArguments

    command, host = remote_engine(on, remote_python, remote_command)
    arguments = RunArguments.of(ctx.params)
    watched = None
    if source is not None and item is not None:
        from remdm_tui.commands.eval_item import arguments_of_item

        if number is not None:
            raise ValueError("take either --sample or --item, not both")
        arguments, watched = arguments_of_item(source, item, arguments, allow_code_execution)
    elif source is not None:
        from remdm_tui.commands.eval_sample import arguments_of_sample

        arguments = arguments_of_sample(source, number or 0, arguments)
    elif number is not None or item is not None:
        raise ValueError(f"{'--sample' if item is None else '--item'} needs --from DIR")
    puzzle_note = ""
    if puzzle is not None:
        from remdm_tui.settings.puzzle import puzzle_prompt

        if source is not None or (arguments.prompt, arguments.prompt_literal, arguments.chat) != (None,) * 3:
            raise ValueError("--puzzle is the prompt: leave out --prompt, --prompt-literal, --chat and --from")
        prompt, puzzle_note = puzzle_prompt(puzzle)
        arguments = replace(arguments, prompt=prompt)
    if record is not None and record.exists():
        raise ValueError(f"{record} exists: choose another name, or `remdm-tui replay {record} --model ...`")
    from remdm_tui.cli.debug_arguments import debug_options, with_panes

    arguments, more = debug_options(arguments, breakpoints or (), strategy_file, is_remote=bool(command))
    options = arguments.options(
        puzzle=puzzle is not None,
        follow=follow,
        paused=paused,
        ascii=ascii_only,
        mouse=not no_mouse,
        may_consent=arguments.trust_remote_code or not is_served(),
        command=command,
        where=host,
        record=record,
        item=watched,
        **more,
    )
    if follow:
        from remdm_tui.watch.follow_training import training_run

        training_run(options.model.name, bool(options.where))
    gc.disable()
    from remdm_tui.app import run
    from remdm_tui.preferences.startup import apply_preferences, read_preferences
    from remdm_tui.ui.key_table import KEYS

    preferences = read_preferences(KEYS, fresh=fresh, keeps_knobs=source is None, tours=True)
    options = with_panes(apply_preferences(options, preferences, arguments), compare or (), arguments)
    hint = ". ".join(filter(None, (puzzle_note, options.hint)))
    raise typer.Exit(run(replace(options, hint=hint), preferences))


@app.command(cls=Described)
@shared(MODEL)
def replay(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A recording of `watch`.", show_default=False)],
    branch: Annotated[int, typer.Option("--branch", help="The branch to open, 0 or more.")] = 0,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
) -> None:
    """Open a recording and step through it without a network; with --model it can continue."""
    if not has_terminal():
        raise ValueError("replay needs a terminal for its input and output; in a pipe use `remdm-tui export`")
    gc.disable()
    from remdm_tui.commands.replay import run

    model = None
    if ctx.params["model"] is not None:
        from remdm_tui.settings.run_arguments import RunArguments

        model = RunArguments.of(ctx.params).choice()
    may_consent = ctx.params["trust_remote_code"] or not is_served()
    raise typer.Exit(
        run(file, branch=branch, model=model, ascii_only=ascii_only, mouse=not no_mouse, may_consent=may_consent)
    )


@app.command(cls=CliCommand)
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
        int | None, option("--every", "Steps between two pictures; default: as few as give 600 pictures at most.")
    ] = None,
    rate: Annotated[float, typer.Option("--rate", help="Pictures a second.")] = 20.0,
    light: Annotated[bool, typer.Option("--light", help="Dark text on a light background.")] = False,
    ascii_only: Ascii = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a recording as text, a picture, a moving picture, a page with a player or a table."""
    from remdm_tui.commands.export import run

    message = run(
        file, out, kind, step=step, sample=number, branch=branch, columns=columns, every=every, rate=rate,
        light=light, ascii_only=ascii_only, force=force,
    )  # fmt: skip
    print_message(sanitize(message))


@app.command("import", cls=CliCommand)
def import_file(
    file: Annotated[
        Path, typer.Argument(help="A trace of another tool: .json, .npz, .npy or .pt.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="The recording to write.")],
    mask_id: Annotated[int | None, option("--mask-id", "Id of the mask token, if the trace does not name it.")] = None,
    prompt_length: Annotated[
        int | None,
        option("--prompt-length", "Tokens of the prompt; default: positions that are never masked nor changed."),
    ] = None,
    strategy: Annotated[str | None, option("--strategy", "Name of the sampler, as it is shown.")] = None,
    tokenizer: Annotated[
        str | None, option("--tokenizer", "Directory, file or hub id of the tokenizer; default: ids are shown.")
    ] = None,
) -> None:
    """Write a trace of another tool as a recording, which replay, export and lint open; formats: docs/traces.md."""
    from remdm_tui.commands.import_trace import run

    message = run(
        file, out, mask_id=mask_id, prompt_length=prompt_length, strategy=strategy, tokenizer=tokenizer
    )  # fmt: skip
    print_message(sanitize(message))


@app.command(cls=CliCommand)
def lint(
    targets: Annotated[
        list[Path],
        typer.Argument(help="Recordings, or directories of evaluations.", metavar="RUN|DIR...", show_default=False),
    ],
    as_json: Json = False,
) -> None:
    """Look for what usually goes wrong in a sampler, in recordings and evaluations; exit status 1 with findings."""
    from remdm_tui.commands.lint import run

    raise typer.Exit(run(targets, as_json=as_json))


@app.command("new-strategy", cls=CliCommand)
def new_strategy(
    file: Annotated[Path, typer.Argument(help="The Python file to write.", show_default=False)],
) -> None:
    """Create a strategy of your own: a file with one class and comments, for `watch --strategy-file`."""
    from remdm_tui.commands.new_strategy import run

    print_message(sanitize(run(file)))


def has_terminal() -> bool:
    """Return whether there is a user: at a terminal, or through pipes at a page of a browser."""
    return is_served() or (is_terminal(sys.stdin) and is_terminal(sys.stdout))


def is_served() -> bool:
    """Return whether the screen is a page of `serve`."""
    return os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")


def is_terminal(stream: Any) -> bool:
    """Return whether a stream is an open terminal."""
    return stream is not None and not stream.closed and stream.isatty()
