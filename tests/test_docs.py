"""What the documents tell people to type is taken by the command line, and what they name is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from engine.debug.fields import CONSTANTS, FIELDS
from engine.evaluation.metrics import METRICS
from engine.lint import DRAWN_CHECKS, RUN_CHECKS
from engine.strategies import REGISTRY
from engine.strategies.words import READS
from remdm_tui.cli import app

HOME = Path(__file__).parent.parent
DOCUMENTS = [
    *(HOME / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((HOME / "docs").glob("*.md")),
    *sorted((HOME / "engine").rglob("README.md")),
]


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


COMMAND: Any = typer.main.get_command(app)
"""The whole command line, made once: that takes longer than to parse all that is typed into it."""


def test_there_are_commands_in_the_documents() -> None:
    assert len(CASES) > 25


def parse(line: str) -> None:
    """Parse a command line as typed.  Raises typer's error for one that is refused."""
    words, command = shlex.split(line)[1:], COMMAND
    # Typer brings a click of its own, so groups are known by what they can do
    context = command.context_class(command)
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]!r}"
        command, words = found, words[1:]
        context = command.context_class(command, parent=context)
    if hasattr(command, "get_command") or words == ["--help"]:
        return
    try:
        command.make_context(command.name, words, parent=context.parent)
    except Exception as error:
        # a sentence may name a command without all that it takes
        if type(error).__name__ != "MissingParameter":
            raise


@pytest.mark.parametrize("line", CASES)
def test_a_command_of_the_documents_is_one(line: str) -> None:
    parse(line)


@pytest.mark.parametrize("line", ["remdm-tui watsh", "remdm-tui watch --strateg mdlm", "remdm-tui list nothing"])
def test_a_command_that_is_none_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no (such )?(command|option)"):
        parse(line)


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as they are made on the web."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(HOME)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    for target in targets:
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


CONTRIBUTING = (HOME / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_tree_of_contributing_is_that_of_the_packages() -> None:
    tree = CONTRIBUTING[CONTRIBUTING.index("## The tree") : CONTRIBUTING.index("## A strategy")]
    named = set(re.findall(r"`(?:\w+/)*?(\w+)/`", tree))
    folders = {
        entry.name for package in ("remdm_tui", "engine") for entry in (HOME / package).iterdir()
        if (entry / "__init__.py").exists()
    }  # fmt: skip
    assert folders <= named
    assert named <= folders | {"remdm_tui", "engine", "panels", "configs", "tests"}


def test_the_files_that_contributing_names_are_there() -> None:
    for path in re.findall(r"`((?:remdm_tui|engine|tests|docs|configs)/[\w/.-]+)`", CONTRIBUTING):
        if not re.search(r"NAME|PANEL", path):
            assert (HOME / path).exists(), path


def test_the_metrics_of_the_documents_are_those_of_the_registry() -> None:
    text = (HOME / "docs" / "evaluate.md").read_text(encoding="utf-8")
    section = text[text.index("## Metrics") : text.index("## Conventions")]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    assert rows == [
        (name, one.title, one.doc, one.better or "should match the data's") for name, one in METRICS.items()
    ]


def test_the_table_of_lint_has_every_check_with_its_threshold() -> None:
    text = (HOME / "docs" / "debug.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", text[text.index("## Lint") :], re.MULTILINE))
    checks = {**RUN_CHECKS, **DRAWN_CHECKS}
    assert list(rows) == list(checks)
    for name, check in checks.items():
        if check.threshold:
            shown = f"{check.threshold:g}" if check.threshold >= 1 else f"{check.threshold:.0%}".replace("%", " %")
            assert shown in rows[name], name


def test_the_names_of_a_condition_are_those_of_the_registry() -> None:
    text = (HOME / "docs" / "debug.md").read_text(encoding="utf-8")
    cells = dict(re.findall(r"^\| (names per \w+|words for `change`) \| (.+) \|$", text, re.MULTILINE))
    named = {title: re.findall(r"`(\w+)`", cell) for title, cell in cells.items()}
    assert named == {
        "names per step": [name for name, field in FIELDS.items() if not field.wide],
        "names per position": [name for name, field in FIELDS.items() if field.wide],
        "words for `change`": list(CONSTANTS),
    }


def test_what_strategies_read_is_in_the_documents() -> None:
    text = (HOME / "docs" / "strategies.md").read_text("utf-8")
    words, rules = text.split("| strategy | difference |")
    assert dict(re.findall(r"^\| `([a-z]+)` \| (.+) \|$", words, re.MULTILINE)) == READS
    named = re.findall(r"^\| (`[^|]+) \|", rules[: rules.index("States of")], re.MULTILINE)
    assert named
    assert {name for cell in named for name in re.findall(r"`([a-z0-9-]+)`", cell)} <= set(REGISTRY)
