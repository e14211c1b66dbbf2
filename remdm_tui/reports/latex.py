"""A report's tables as LaTeX, for `\\input`; they need the package booktabs."""

from __future__ import annotations

from remdm_tui.reports import templates
from remdm_tui.reports.document import ReportDocument


def render(document: ReportDocument) -> str:
    """Return every table with a caption that gives the terms of its figures."""
    return templates.render("tex", document=document).rstrip("\n") + "\n"
