"""What a kill left of the terminal's own files goes at the next start."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from remdm_tui.commands import new_strategy
from remdm_tui.commands.report import run
from remdm_tui.exports.screen import write_screen as write_screen
from remdm_tui.preferences.last_session import Memory, Remembered
from tests.cli.evaluations import results, write
from tests.killed import leave, unfinished


def remembered(home: Path) -> None:
    Memory.read(home / "session.json").write(Remembered(by_confidence=True))
    assert Memory.read(home / "session.json").last.by_confidence


def reported(home: Path) -> None:
    run([write(home, results())], console=Console(file=StringIO()))


def shown(home: Path) -> None:
    write_screen([], 10, home / "a [1].txt", False)


def made(home: Path) -> None:
    new_strategy.run(home / "mine.py")


@pytest.mark.parametrize(
    ("start", "written"),
    [
        (made, ["mine.py"]),
        (remembered, ["session.json"]),
        (shown, ["a [1].txt"]),
        (reported, ["report.html", "report.md", "report.tex"]),
    ],
)
def test_what_a_kill_left_goes_at_the_next_start(
    tmp_path: Path, start: Callable[[Path], None], written: list[str]
) -> None:
    leave(tmp_path / "home", written)
    start(tmp_path / "home")
    assert unfinished(tmp_path / "home") == ["mine.part"]
