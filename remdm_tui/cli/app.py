"""What the commands hang on: the program's name, its help, and the one place where bad input becomes a sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from remdm_tui.console.output import OUTPUT, discard_output, print_error, print_result
from remdm_tui.console.sanitize import sanitize
from remdm_tui.console.signals import ended_by_signals, exit_code

BAD_INPUT = 2
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""Click's UsageError; newer releases of Typer have a Click of their own."""


class Group(TyperGroup):
    """The commands; the one place where bad input becomes a sentence.

    The engine and the commands raise ValueError for input that is wrong, OSError for files that cannot be had and
    ModuleNotFoundError for packages that only some commands take; any other exception is a bug and keeps its traceback.
    """

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with errors_as_sentences():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with errors_as_sentences(), ended_by_signals():
            try:
                return super().invoke(ctx)
            finally:
                # what cannot be written is found here and not at the exit
                if sys.stdout is not None:
                    sys.stdout.flush()


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Exit in here with a sentence and a status where somebody's input, disk or patience has ended the work."""
    try:
        yield
    except BrokenPipeError:
        # the reader has had enough
        discard_output()
        raise typer.Exit(0) from None
    except KeyboardInterrupt as stopped:
        print_error("stopped")
        raise typer.Exit(exit_code(stopped)) from None
    except OSError as error:
        if error.filename == OUTPUT:
            discard_output()
        print_error(f"{_name(error.filename)}: {error.strerror}" if error.filename else str(error))
        raise typer.Exit(BAD_INPUT) from None
    except (ValueError, ModuleNotFoundError) as error:
        print_error(str(error))
        raise typer.Exit(BAD_INPUT) from None
    except USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise  # its message is the whole help
        # what was typed is in it
        said = error.format_message()
        if said == sanitize(said):
            raise
        raise USAGE_ERROR(sanitize(said), error.ctx) from None


def _name(file: str | bytes | int) -> str:
    """Return a file's name in one line, whatever is in it; an OSError may also name a descriptor."""
    return sanitize(file.decode(errors="backslashreplace") if isinstance(file, bytes) else str(file))


class Described(TyperCommand):
    """A command whose help has `{option}` where `remdm_tui.cli.option_help` knows ranges, choices and defaults."""

    def get_help(self, ctx: Any) -> str:
        from remdm_tui.cli.option_help import facts

        known = facts()
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                parameter.help = text.format_map(known)  # type: ignore[attr-defined]
        return super().get_help(ctx)


app = typer.Typer(
    cls=Group, rich_markup_mode=None, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A wind tunnel and a debugger for the samplers of masked discrete diffusion language models.",
)  # fmt: skip
lists = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="What there is to choose from.")
app.add_typer(lists, name="list")


def show_version(wanted: bool) -> None:
    if wanted:
        from engine import __version__

        print_result(f"remdm-tui {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None: ...
