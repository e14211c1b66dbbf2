"""The command line; every heavy import lives inside its command."""

from __future__ import annotations

import typer

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)


def main() -> None:
    """Entry point of `remdm-tui`."""
    app()
