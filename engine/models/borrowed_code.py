"""The Python files of a checkpoint that transformers has run."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = "transformers_modules"
"""Under which the library imports them."""


def code_of(*made: object) -> tuple[Path, ...]:
    """Return the files of the modules that define these objects' classes, and of their packages' other modules; empty
    for its own.

    A configuration may name code of another repository, which lies outside the checkpoint's directory.
    """
    owners = {type(each).__module__.rpartition(".")[0] for each in made}
    packages = tuple(f"{owner}." for owner in owners if owner.split(".")[0] == PACKAGE)
    modules = [module for name, module in sys.modules.items() if packages and name.startswith(packages)]
    files = {getattr(module, "__file__", None) for module in modules}
    return tuple(sorted(Path(file) for file in files if file is not None))
