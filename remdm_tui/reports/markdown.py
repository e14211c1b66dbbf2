"""A report as Markdown."""

from __future__ import annotations

from remdm_tui.reports import templates
from remdm_tui.reports.document import ReportDocument


def render(document: ReportDocument, pictures: bool) -> str:
    """Return the report. pictures: whether the files of the plots are in the same directory."""
    return templates.render("md", document=document, pictures=pictures).rstrip() + "\n"
