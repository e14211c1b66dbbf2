"""What the documents tell people to type is taken by the command line."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path

import click
import pytest
import typer

from remdm_tui.cli import app

HOME = Path(__file__).parent.parent
DOCUMENTS = [HOME / "README.md", *sorted((HOME / "docs").glob("*.md")), *sorted((HOME / "engine").rglob("README.md"))]


def commands(text: str) -> list[str]:
    """In indented blocks and in backticks, joined over line ends; none that leave something out."""
    text = re.sub(r"\\\n\s*", " ", text)
    indented = re.findall(r"^    (?:\$ |.* -m )?(remdm[-_]tui .*)$", text, re.MULTILINE)
    found = [line.split("  ")[0].partition(" #")[0] for line in indented] + re.findall(r"`(remdm-tui [^`]+)`", text)
    return [line.strip() for line in found if "..." not in line and "|" not in line]


CASES = [
    pytest.param(line, id=f"{path.relative_to(HOME)}: {line}")
    for path in DOCUMENTS
    for line in commands(path.read_text(encoding="utf-8"))
]


def test_there_are_commands_in_the_documents() -> None:
    assert len(CASES) > 25


@pytest.mark.parametrize("line", CASES)
def test_a_command_of_the_documents_is_one(line: str) -> None:
    words = shlex.split(line)[1:]
    group: click.Command = typer.main.get_command(app)
    context = click.Context(group)
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        found = group.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]!r}"
        group, words = found, words[1:]
        context = click.Context(group, parent=context)
    if isinstance(group, click.Group) or words == ["--help"]:
        return
    # a sentence may name a command without all that it takes
    with suppress(click.MissingParameter):
        group.parse_args(context, words)
