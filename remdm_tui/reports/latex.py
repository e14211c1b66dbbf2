"""A report's tables as LaTeX, for `\\input`; they need the package booktabs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from remdm_tui.reports.document import Document, Section
from remdm_tui.reports.tables import Cell, Table, ended

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "–": "--", "±": r"$\pm$", "…": r"\ldots{}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # behind the end of a row these would be its options
}  # fmt: skip

LAST = "\u0180"
"""Latin letters up to here are in the fonts of every LaTeX."""


def render(document: Document) -> str:
    """Every table, with a caption that says on what terms its figures were taken."""
    lines = ["% Made by remdm-tui report. In the preamble: \\usepackage{booktabs}, \\usepackage[T1]{fontenc}"]
    lines += [f"% {commented(remark)}" for remark in document.remarks]
    for number, section in enumerate(document.sections, 1):
        lines += ["", f"% {commented(section.title)}"]
        lines += [f"% {commented(sentence)}" for sentence in (*section.warnings, *section.conventions)]
        if section.overview:
            lines += _overview(section, f"tab:remdm-{number}")
        for place, table in enumerate(section.details, 1):
            lines += _detail(table.core(), section, f"tab:remdm-{number}-{place}")
    return "\n".join(lines) + "\n"


def _overview(section: Section, label: str) -> Iterator[str]:
    """One table: a block of rows for each quality, so that gen PPL never stands without entropy."""
    columns = section.overview[0].columns
    yield from _opened("l" + "r" * (len(columns) - 1), _terms(section), label)
    yield _row(["", *(f"${column.title}$" for column in columns[1:])])
    for table in section.overview:
        yield r"\midrule"
        yield rf"\multicolumn{{{len(columns)}}}{{l}}{{\emph{{{escaped(table.title)}}}}} \\"
        yield from (_row(escaped(cell.whole) for cell in row) for row in table.rows)
    yield from _closed()


def _detail(table: Table, section: Section, label: str) -> Iterator[str]:
    heading = f"{table.title}; {table.note}. " if table.note else f"{table.title}. "
    yield from _opened("r" * len(table.columns), escaped(heading) + _terms(section), label)
    yield _row("$T$" if column.title == "T" else escaped(column.title) for column in table.columns)
    yield r"\midrule"
    yield from (_row(_cell(cell) for cell in row) for row in table.rows)
    yield from _closed()


def _opened(columns: str, caption: str, label: str) -> Sequence[str]:
    return (
        "", r"\begin{table}[t]", r"\centering", rf"\caption{{{caption}}}", rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
    )  # fmt: skip


def _closed() -> Sequence[str]:
    return (r"\bottomrule", r"\end{tabular}", r"\end{table}")


def _terms(section: Section) -> str:
    """What figures must not be quoted without, for a caption."""
    terms = section.group.terms
    told = f"N = {terms.samples:,} samples for each setting; judge {terms.judge}; conventions {terms.conventions}"
    if terms.featurizer != "none":
        told += f"; MAUVE with features of {terms.featurizer} against {terms.references}"
    small = {ended(e.mauve.warning) for e in section.group.evaluations if e.mauve and e.mauve.warning}
    return escaped(" ".join([f"{told}.", *sorted(small)]))


def _cell(cell: Cell) -> str:
    return escaped(cell.text) + (rf" {{\scriptsize {escaped(cell.spread)}}}" if cell.spread else "")


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is; of what is outside ASCII letters stay and the rest becomes a question mark."""
    return "".join(SPECIAL.get(c, c if " " <= c <= "~" or (c.isalpha() and c < LAST) else "?") for c in text)


def commented(text: str) -> str:
    """Text that stays behind a % sign."""
    return " ".join(text.split())
