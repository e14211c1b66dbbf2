"""Start the command line, unless another package called `engine` hides the one that it needs.

`python -m remdm_tui` runs this too, which is how launchers start it.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from remdm_tui.console.output import install, print_error

MARK = b"remdm-tui"
"""What `engine/__init__.py` says of itself, as source and as bytecode."""
BAD_INPUT = 2


def main() -> None:
    """Run `remdm-tui`; the entry point."""
    problem = engine_problem()
    if problem:
        install()
        print_error(problem)
        sys.exit(BAD_INPUT)
    # every module of it imports the engine
    from remdm_tui.cli import main as run

    run()


def engine_problem() -> str:
    """Return in one sentence why `import engine` would not find the engine of remdm-tui; "" if it would.

    Nothing of another package is run: its `__init__.py` is only read.
    """
    spec = find_spec("engine")
    if spec is None:
        return "its package engine is not installed: install remdm-tui again"
    place = spec.origin or next(iter(spec.submodule_search_locations or ()), "")
    try:
        source = spec.loader.get_data(place) if spec.origin else b""  # type: ignore[union-attr]
    except (OSError, AttributeError):  # a loader that has no files
        source = b""
    if MARK in source:
        return ""
    return (
        f"another package called engine is in the way, {place}: take its directory off PYTHONPATH and the current "
        "directory, or uninstall it and install remdm-tui again"
    )


if __name__ == "__main__":
    main()
