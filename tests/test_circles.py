"""No modules and no packages of the product import one another in a circle."""

from __future__ import annotations

from collections.abc import Mapping, Set

import grimp
import pytest


def circles(imports: Mapping[str, Set[str]]) -> set[frozenset[str]]:
    """Return the sets of two or more modules of which each imports, directly or not, all others of its set."""
    reached = {module: _reached(module, imports) for module in imports}
    found = {frozenset(other for other in reached[module] if module in reached[other]) for module in imports}
    return {circle for circle in found if len(circle) > 1}


def _reached(module: str, imports: Mapping[str, Set[str]]) -> set[str]:
    found, waiting = {module}, [module]
    while waiting:
        new = imports[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def between_children(package: str, imports: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """Return which modules and packages directly below a package import one another, each with all that is below it."""
    depth = package.count(".") + 2
    found: dict[str, set[str]] = {}
    for module, imported in imports.items():
        if module.startswith(f"{package}."):
            child = _prefix(module, depth)
            others = {_prefix(other, depth) for other in imported if other.startswith(f"{package}.")}
            found.setdefault(child, set()).update(others - {child})
    return found


def _prefix(module: str, depth: int) -> str:
    return ".".join(module.split(".")[:depth])


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Return what each module imports directly.

    Every import statement counts, also one inside a function or under TYPE_CHECKING; that of a package stands for its
    __init__.py alone, so that a package may gather what its modules offer.
    """
    graph = grimp.build_graph("engine", "remdm_tui", exclude_type_checking_imports=False, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_modules_import_one_another(imports: dict[str, set[str]]) -> None:
    assert len(imports) > 300
    assert imports["engine.models.load"] >= {"engine.models.text_model"}
    assert circles(imports) == set()


def test_no_packages_import_one_another(imports: dict[str, set[str]]) -> None:
    packages = {module.rpartition(".")[0] for module in imports if "." in module}
    assert packages > {"engine", "engine.models", "remdm_tui.screens"}
    assert {package: found for package in packages if (found := circles(between_children(package, imports)))} == {}


def test_circles_are_found() -> None:
    imports = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert circles(imports) == {frozenset("abc"), frozenset("de")}


def test_circles_of_packages_are_found() -> None:
    imports: dict[str, set[str]] = {"a": {"a.b.one"}, "a.b.one": {"a.c.one"}, "a.c.two": {"a.b.two", "d"}}
    imports |= {"a.c.one": set(), "a.b.two": set(), "d": set()}
    assert circles(imports) == set()
    assert circles(between_children("a", imports)) == {frozenset(("a.b", "a.c"))}
