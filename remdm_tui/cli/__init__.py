"""The command line; every heavy import lives inside its command."""

from __future__ import annotations

from remdm_tui.cli.app import app
from remdm_tui.console import output

# the commands, in the order of the help
# isort: off
from remdm_tui.cli import watch as watch
from remdm_tui.cli import evaluate as evaluate
from remdm_tui.cli import info as info
from remdm_tui.cli import train as train
from remdm_tui.cli import bench as bench
# isort: on


def main() -> None:
    """Run the command line with sanitized output."""
    output.install()
    app()
