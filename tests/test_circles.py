"""No modules of the product import one another in a circle."""

from __future__ import annotations

from collections.abc import Mapping, Set

import grimp


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


def test_no_modules_import_one_another() -> None:
    # every import statement counts, also one inside a function or under TYPE_CHECKING; that of a package stands for its
    # __init__.py alone, so that a package may gather what its modules offer
    graph = grimp.build_graph("engine", "remdm_tui", exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 300
    assert imports["engine.models.load"] >= {"engine.models.text_model"}
    assert circles(imports) == set()


def test_circles_are_found() -> None:
    imports = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert circles(imports) == {frozenset("abc"), frozenset("de")}
