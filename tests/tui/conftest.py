"""Programs in terminals, which end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.tui import parsed_styles, quiet
from tests.tui.terminal import Terminal, with_forked_engine

quiet.install()
parsed_styles.install()


@pytest.fixture(autouse=True)
def lints_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say nothing of lint at the end of a run: its line comes from a thread, and would cover others at any time."""
    monkeypatch.setattr("remdm_tui.watch.run_lint.RunLint.tick", lambda *_: "")


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Start the command line, whose engine is a fork unless another `command` is given, in a terminal of its own."""
    opened: list[Terminal] = []

    def start(*arguments: str, **more: Any) -> Terminal:
        opened.append(Terminal(arguments, **{"command": with_forked_engine(), **more}))
        return opened[-1]

    yield start
    for one in opened:
        one.close()
