"""The command line; every heavy import lives inside its command."""

from __future__ import annotations

from remdm_tui import console
from remdm_tui.cli.frame import app

# the commands, in the order of the help
# isort: off
from remdm_tui.cli import watching as watching
from remdm_tui.cli import evaluating as evaluating
from remdm_tui.cli import around as around
from remdm_tui.cli import training as training
from remdm_tui.cli import measuring as measuring
# isort: on


def main() -> None:
    """Entry point of `remdm-tui`."""
    console.install()
    app()
