"""Style sheets that are parsed once: every application that a test starts would parse the same ones again."""

from __future__ import annotations

from typing import Any

from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

KNOWN: dict[tuple[Any, ...], list[RuleSet]] = {}
"""The rules of a sheet with the colours that it names."""


def install() -> None:
    """Have applications share the rules, which nothing changes."""
    parse = Stylesheet._parse_rules

    def remembered(self: Stylesheet, css: str, *arguments: Any, **more: Any) -> list[RuleSet]:
        key = frozenset(self._variables.items()), css, arguments, tuple(sorted(more.items()))
        if key not in KNOWN:
            KNOWN[key] = parse(self, css, *arguments, **more)
        return KNOWN[key]

    Stylesheet._parse_rules = remembered  # type: ignore[method-assign]
