"""The commands that describe the installation and list choices, and those that serve the application elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from remdm_tui.cli.app import CliCommand, Described, app, lists
from remdm_tui.cli.options import MODEL, Json, shared
from remdm_tui.console.output import print_json, print_note, print_result


@app.command(cls=Described)
@shared(MODEL)
def doctor(
    ctx: typer.Context,
    as_json: Json = False,
) -> None:
    """Check the installation: versions, devices, attention, terminal; with --model, load it and score a short text."""
    from remdm_tui.commands.doctor import run
    from remdm_tui.settings.run_arguments import RunArguments

    run(RunArguments.of(ctx.params).choice(), load=ctx.params["model"] is not None, as_json=as_json)


@app.command("engine", cls=CliCommand, hidden=True)
def serve_terminal() -> None:
    """Run the engine for a terminal on another machine, on standard input and output."""
    from engine.serve import main as engine

    engine()


@app.command(cls=CliCommand, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option("--host", help="The address to serve on; others can connect unless it is a loopback address.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 chooses a free one.")] = 8000,
) -> None:
    """Serve the application to a browser; takes the options of `watch`, or `replay FILE` and its options."""
    words = ctx.args if ctx.args[:1] in (["watch"], ["replay"]) else ["watch", *ctx.args]
    # an error in them is shown here, not on every page
    command = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]
    given = command.make_context(words[0], list(words[1:]), parent=ctx.parent).params
    if words[0] == "watch":
        from remdm_tui.settings.run_arguments import RunArguments

        RunArguments.of(given).options(where=given["on"] or given["remote_command"] or "")
    from remdm_tui.commands.serve import run

    run(words, host=host, port=port, message=print_note)


@lists.command("strategies", cls=CliCommand)
def list_strategies(as_json: Json = False) -> None:
    """List the samplers with their knobs."""
    from remdm_tui.commands.listing import strategies

    (print_json if as_json else print_result)(strategies(as_json))


@lists.command("models", cls=CliCommand)
def list_models(as_json: Json = False) -> None:
    """List models of the package and of the Hugging Face hub; any other directory, file or id loads too."""
    from remdm_tui.commands.listing import models

    (print_json if as_json else print_result)(models(as_json))


@lists.command("keys", cls=CliCommand)
def list_keys(as_json: Json = False) -> None:
    """List the keys of the terminal by their ids in config.toml."""
    from remdm_tui.commands.listing import keys

    (print_json if as_json else print_result)(keys(as_json))


@lists.command("presets", cls=CliCommand)
def list_presets(as_json: Json = False) -> None:
    """List the sampling settings that have a name."""
    from remdm_tui.commands.listing import presets

    (print_json if as_json else print_result)(presets(as_json))
