"""The Python files that make up a strategy of another package: its module and what it imports of its own."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path


def sources(path: Path, name: str, own: Callable[[str], bool]) -> dict[str, Path]:
    """Return the files of a module and of the modules that it imports, directly or not, by name.

    path, name: of the module.  own: whether a other top-level module belongs to it; others are not followed.
    Imports are read off the text, those in functions too, so that nothing is run.  A module that is named only while
    it runs, as by importlib.import_module, is not found.  Raises OSError.
    """
    parts = name.split(".")
    package = path.name == "__init__.py"
    root = path.parents[len(parts) if package else len(parts) - 1]
    found: dict[str, Path] = {}
    left = [name]
    while left:
        each = left.pop()
        if each in found or not own(each.partition(".")[0]):
            continue
        file = path if each == name else _file(root, each)
        if file is not None:
            found[each] = file
            left += _imported(file, each)
        left += [each.rpartition(".")[0]] if "." in each else []
    return dict(sorted(found.items()))


def _file(root: Path, name: str) -> Path | None:
    """Return the file of a module under `root`; None for what is no module, as a function that is imported."""
    place = root.joinpath(*name.split("."))
    choices = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((file for file in choices if file.is_file()), None)


def _imported(file: Path, name: str) -> Iterator[str]:
    """Yield the absolute names that may be modules in a file's import statements."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):  # it imports nothing as it is
        return
    within = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = within[: len(within) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from filter(None, (base, *(f"{base}.{alias.name}".strip(".") for alias in node.names)))
