"""The style sheets name widgets that exist: a renamed class would lose its style without a word."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

from textual.app import App
from textual.dom import DOMNode

import remdm_tui
from remdm_tui.app import WatchApp

SHEET = Path(remdm_tui.__file__).parent / WatchApp.CSS_PATH


def all_kinds(kind: type[DOMNode]) -> list[type[DOMNode]]:
    return [kind, *(one for below in kind.__subclasses__() for one in all_kinds(below))]


def names_of(kind: type[DOMNode]) -> set[str]:
    return {one.__name__ for one in all_kinds(kind)}


def selectors(css: str) -> set[str]:
    """Return the types of widgets that a style sheet selects."""
    heads = re.findall(r"([^{};]*)\{", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))
    return {name for head in heads for name in re.findall(r"(?<![\w.#$-])[A-Z]\w+", head)}


def test_every_type_that_is_styled_exists() -> None:
    for package in ("widgets", "screens"):
        home = importlib.import_module(f"remdm_tui.{package}")
        for module in pkgutil.walk_packages(home.__path__, f"{home.__name__}."):
            importlib.import_module(module.name)
    existing = names_of(DOMNode)
    assert {"Panes", "App"} <= selectors(SHEET.read_text()) <= existing
    ours = [kind for kind in all_kinds(DOMNode) if kind.__module__.startswith("remdm_tui.")]
    assert ours
    for kind in ours:
        assert selectors(vars(kind).get("DEFAULT_CSS", "")) <= existing, kind


def test_a_type_that_does_not_exist_is_found() -> None:
    assert selectors("App.ascii Panes.several > Gone { color: $Red; } #Id .Class Label { width: 1 }") == {
        "App", "Panes", "Gone", "Label",
    }  # fmt: skip
    assert "Gone" not in names_of(App)
