"""The root of the command line: its help, and the one place where errors become messages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from remdm_tui.console.output import OUTPUT, discard_output, print_error, print_result, require_output
from remdm_tui.console.sanitize import sanitize
from remdm_tui.console.signals import ended_by_signals, exit_code

BAD_INPUT = 2
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""Click's UsageError; newer releases of Typer have a Click of their own."""


class HelpIsOutput:
    """A command whose `--help` fails where standard output is closed, since nobody sees it then."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc]
        except typer.Exit:
            # an option has shown something instead of the command
            require_output()
            raise


class CliCommand(HelpIsOutput, TyperCommand):
    """A command."""


class CliGroup(HelpIsOutput, TyperGroup):
    """Commands below a word."""


class CommandGroup(CliGroup):
    """The commands; the one place where errors become messages.

    The engine and the commands raise ValueError for bad input, OSError for files and ModuleNotFoundError for optional
    packages.  Any other exception is a bug and keeps its traceback.
    """

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with errors_as_sentences():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with errors_as_sentences(), ended_by_signals():
            try:
                return super().invoke(ctx)
            finally:
                # a failed write is an error here, not at the exit
                if sys.stdout is not None:
                    sys.stdout.flush()


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Exit with a message and a status at an error of input or files, or an interrupt, inside the context."""
    try:
        yield
    except BrokenPipeError:
        # the reader has closed the pipe
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
    except EOFError as error:
        # Click takes it for the end of what somebody types, and says "Aborted!" alone
        raise RuntimeError(f"a file ended too early: {error}") from error
    except USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise  # its message is the whole help
        # it contains what was typed
        message = error.format_message()
        if message == sanitize(message):
            raise
        raise USAGE_ERROR(sanitize(message), error.ctx) from None


def _name(file: str | bytes | int) -> str:
    """Return the name of a file in one line; an OSError may also have a descriptor."""
    return sanitize(file.decode(errors="backslashreplace") if isinstance(file, bytes) else str(file))


class Described(CliCommand):
    """A command whose help has `{option}` for ranges, choices and defaults of `remdm_tui.cli.option_help`."""

    def get_help(self, ctx: Any) -> str:
        from remdm_tui.cli.option_help import help_values

        texts = help_values()
        # the texts are those of the declarations, which another command of this process may show
        parameters: list[Any] = list(self.params)
        written = [(one, one.help) for one in parameters if getattr(one, "help", None)]
        for parameter, text in written:
            parameter.help = text.format_map(texts)
        try:
            return super().get_help(ctx)
        finally:
            for parameter, text in written:
                parameter.help = text


app = typer.Typer(
    cls=CommandGroup, rich_markup_mode=None, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A wind tunnel and a debugger for the samplers of masked discrete diffusion language models.",
)  # fmt: skip
lists = typer.Typer(
    cls=CliGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Show the available strategies, models, presets and keys.",
)
app.add_typer(lists, name="list")


def show_version(is_set: bool) -> None:
    """Print the version and exit, if the option is given."""
    if is_set:
        from engine import __version__

        print_result(f"remdm-tui {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None: ...
