"""Lint evaluations and the recordings beside their files, and show the findings as a table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.lint import CheckResult, DrawnTexts, drawn_by, lint_drawn, lint_steps
from engine.recording import Recording
from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.maps import ENDING
from remdm_tui.reports.records import Group
from remdm_tui.reports.table import Cell, Column, Table

Linted = tuple[tuple[CheckResult, ...], tuple[str, ...]]
"""What the checks found, and a sentence for each file that they could not read."""
COLUMNS = (
    Column("check"), Column("where"), Column("figure"), Column("threshold"), Column("finding"), Column("advice"),
)  # fmt: skip


def lint_evaluations(homes: Iterable[Path], recordings: Iterable[Path] = ()) -> Linted:
    """Lint the texts of evaluations, together with those of the recordings in their directories and of others.

    Raises OSError and ValueError for one of `recordings` that cannot be read.
    """
    outcomes: list[CheckResult] = []
    recorded: list[DrawnTexts] = []
    drawn: list[DrawnTexts] = []
    problems: list[str] = []
    for path in recordings:
        _lint_file(path, outcomes, recorded)
    for home in homes:
        try:
            drawn.append(drawn_by(home))
        except ValueError as error:
            problems.append(str(error))
        for path in sorted(home.glob(f"*{ENDING}")):
            try:
                _lint_file(path, outcomes, recorded)
            except (OSError, ValueError) as error:
                problems.append(str(error))
    return (*outcomes, *lint_drawn(drawn), *lint_drawn(recorded)), tuple(problems)


def _lint_file(path: Path, outcomes: list[CheckResult], drawn: list[DrawnTexts]) -> None:
    """Add the outcomes of a recording, and its texts."""
    recording = Recording.open(path)
    try:
        found, texts = lint_steps(recording)
    finally:
        recording.close()
    outcomes += found
    drawn += texts


def lint_table(group: Group) -> Table:
    """Return the findings of a group; without rows, the note says that there are none."""
    outcomes, problems = lint_evaluations(one.home for one in group.evaluations)
    found = [one for one in outcomes if one.found]
    note = f"{counted(len(found), 'finding') if found else 'No finding'} in {counted(len(outcomes), 'check')}"
    note = ". ".join([note, *(sanitize(problem, cells=True) for problem in problems)])
    rows = tuple(
        tuple(
            Cell(sanitize(text, cells=True))
            for text in (
                one.check, one.subject, short_figure(one.figure), short_figure(one.threshold), one.message, one.advice
            )
        )
        for one in found
    )  # fmt: skip
    return Table("Lint", COLUMNS, rows, note)


def short_figure(value: float) -> str:
    """Return a figure of a check in few digits."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"
