"""What the commands hang on: the program's name, its help, and the one place where bad input becomes a sentence."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

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
