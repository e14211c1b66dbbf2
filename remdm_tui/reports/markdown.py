"""A report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from remdm_tui.reports.document import Document, Section
from remdm_tui.reports.tables import Table

SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&])")


def render(document: Document, pictures: bool) -> str:
    """pictures: whether the plots' files lie beside it."""
    lines = [f"# {escaped(document.title)}", "", *_bulleted(map(escaped, document.remarks))]
    for section in document.sections:
        lines += _section(section, pictures)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, pictures: bool) -> Iterator[str]:
    yield from (f"## {escaped(section.title)}", "")
    yield from _bulleted(f"**Warning.** {escaped(w)}" for w in section.warnings)
    yield from ("| | |", "|---|---|")
    yield from (f"| {escaped(name)} | {escaped(value)} |" for name, value in section.facts)
    yield ""
    yield from (f"{escaped(sentence)}" for sentence in section.reading)
    yield ""
    if pictures:
        for plot in section.plots:
            yield from (f"![{escaped(plot.caption)}]({plot.name}.png)", "", escaped(plot.caption), "")
    for table in (*section.overview, *section.details):
        yield from _table(table)
    yield from (f"### Conventions {escaped(section.group.terms.conventions)}", "")
    yield from _bulleted(map(escaped, section.conventions))


def _table(table: Table) -> Iterator[str]:
    yield from (f"### {escaped(table.title)}", "")
    if table.note:
        yield from (escaped(table.note), "")
    yield _row(column.title for column in table.columns)
    textual = {0} if table.columns[0].title == "series" else set()
    yield "|" + "|".join("---" if i in textual else "---:" for i in range(len(table.columns))) + "|"
    yield from (_row(cell.whole for cell in row) for row in table.rows)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def _bulleted(sentences: Iterable[str]) -> Iterator[str]:
    found = [f"- {sentence}" for sentence in sentences]
    yield from ([*found, ""] if found else [])


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
