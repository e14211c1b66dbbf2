"""Another package called engine in the place of ours: one sentence, and none of its code runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from remdm_tui.cli import app

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


def start(*arguments: str, path: list[Path]) -> subprocess.CompletedProcess[str]:
    """Run the command line with these directories before all others."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "remdm_tui", *arguments], capture_output=True, text=True, timeout=240,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))},
    )  # fmt: skip


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A directory with a package called engine, which must not be run."""
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('its code has run')\n")
    return tmp_path


@pytest.mark.parametrize("command", [*COMMANDS, "--help"])
def test_every_command_names_the_other_package_in_one_sentence(other: Path, command: str) -> None:
    done = start(command, path=[other])
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"remdm-tui: another package called engine is in the way, {other / 'engine'}")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_directory_called_engine_is_no_package_and_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    assert start("--version", path=[tmp_path]).stdout.startswith("remdm-tui ")


def test_the_other_package_behind_ours_is_no_matter(other: Path) -> None:
    assert start("--version", path=[ROOT, other]).stdout.startswith("remdm-tui ")


def test_files_installed_over_ours_are_reported_too(tmp_path: Path) -> None:
    (tmp_path / "remdm_tui").symlink_to(ROOT / "remdm_tui")
    (tmp_path / "engine").mkdir()
    for file in (ROOT / "engine").iterdir():
        (tmp_path / "engine" / file.name).symlink_to(file)
    (tmp_path / "engine" / "__init__.py").unlink()
    (tmp_path / "engine" / "__init__.py").write_text("power = 200\n")
    done = start("list", "models", path=[tmp_path])
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
