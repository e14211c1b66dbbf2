"""A name means one thing in the product: no two modules define classes, functions or tables of kinds of one name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND_LINE = "remdm_tui/cli/"
"""Its functions are the commands, and its annotated types the options, each named as on the command line."""
ROLES = {"main", "run", "make", "render", "write", "png", "svg"}
"""Functions that each module of a table has: entry points, commands, objectives, reports, exports."""
TABLES = {"KINDS", "FIGURES"}
"""Registries that CONTRIBUTING names without their module."""


def names(tree: ast.Module) -> Iterator[str]:
    """Yield the classes of a module, also nested ones, its public functions, the types that it names, and its tables
    of kinds.
    """
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name not in ROLES:
            yield node.name
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and not _is_type_variable(node):
            named = target.id[0].isupper() and not target.id.isupper()
            if named or target.id in TABLES:
                yield target.id


def _is_type_variable(node: ast.stmt) -> bool:
    """Return whether a statement makes a type variable, which means nothing outside its module."""
    value = getattr(node, "value", None)
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "TypeVar"


def defined_twice(modules: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Return the modules that define each name which more than one defines, or one of them twice."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, tree in modules.items():
        for name in names(tree):
            found[name].append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def test_a_name_has_one_meaning() -> None:
    paths = [path for package in ("engine", "remdm_tui") for path in sorted((ROOT / package).rglob("*.py"))]
    modules = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}
    assert len(modules) > 300
    assert defined_twice({path: tree for path, tree in modules.items() if not path.startswith(COMMAND_LINE)}) == {}


def test_names_with_two_meanings_are_found() -> None:
    one = "class Line: ...\nclass Grid:\n    class Moved: ...\nRead = int\nRow = TypeVar('Row')\nKINDS = {}"
    one += "\ndef read(): ..."
    two = "class Map:\n    class Moved: ...\nLine = str\nRead: object = str\nKINDS = {}\nLARGEST = 1\n"
    two += "def read(): ...\ndef main(): ...\ndef _own(): ..."
    modules = {
        "a": ast.parse(one),
        "b": ast.parse(two),
        "c": ast.parse("LARGEST = 2\ndef main(): ...\ndef _own(): ..."),
    }
    assert set(defined_twice(modules)) == {"Line", "Moved", "Read", "KINDS", "read"}
