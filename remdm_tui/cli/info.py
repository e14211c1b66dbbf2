"""What is here, what there is to choose from, and the same application by other ways than this terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from remdm_tui.cli.app import Described, app, lists
from remdm_tui.cli.options import MODEL, Json, shared
from remdm_tui.console.output import print_json, print_note, print_result


@app.command(cls=Described)
@shared(MODEL)
def doctor(
    ctx: typer.Context,
    as_json: Json = False,
) -> None:
    """Say what is here: versions, devices, attention, terminal; with --model, whether it loads and knows its text."""
    from remdm_tui.commands.doctor import run
    from remdm_tui.settings.run_arguments import RunArguments

    run(RunArguments.of(ctx.params).choice(), load=ctx.params["model"] is not None, as_json=as_json)


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
        from remdm_tui.settings.run_arguments import RunArguments

        RunArguments.of(given).options(where=given["on"] or given["remote_command"] or "")
    from remdm_tui.commands.serve import run

    run(words, host=host, port=port, say=print_note)


@lists.command("strategies")
def list_strategies(as_json: Json = False) -> None:
    """The samplers, with their knobs."""
    from remdm_tui.commands.listing import strategies

    (print_json if as_json else print_result)(strategies(as_json))


@lists.command("models")
def list_models(as_json: Json = False) -> None:
    """Models by name, in the package and of the Hugging Face hub; any other directory, file or id loads too."""
    from remdm_tui.commands.listing import models

    (print_json if as_json else print_result)(models(as_json))


@lists.command("keys")
def list_keys(as_json: Json = False) -> None:
    """The keys of the terminal by id, as config.toml has them."""
    from remdm_tui.commands.listing import keys

    (print_json if as_json else print_result)(keys(as_json))


@lists.command("presets")
def list_presets(as_json: Json = False) -> None:
    """Sampling settings by name."""
    from remdm_tui.commands.listing import presets

    (print_json if as_json else print_result)(presets(as_json))
