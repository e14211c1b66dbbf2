"""A report's tables as LaTeX, for `\\input`; they need the package booktabs."""

from __future__ import annotations

from remdm_tui.reports import templates
from remdm_tui.reports.document import ReportDocument, Section
from remdm_tui.reports.tables import ended


def render(document: ReportDocument) -> str:
    """Return every table with a caption that gives the terms of its figures."""
    return templates.render("tex", document=document, terms=terms).rstrip("\n") + "\n"


def terms(section: Section) -> str:
    """Return what the figures must not be quoted without, for a caption."""
    shared = section.group.terms
    text = f"N = {shared.samples:,} samples for each setting; judge {shared.judge}; conventions {shared.conventions}"
    if shared.featurizer != "none":
        text += f"; MAUVE with features of {shared.featurizer} against {shared.references}"
    small = {ended(e.mauve.warning) for e in section.group.evaluations if e.mauve and e.mauve.warning}
    return " ".join([f"{text}.", *sorted(small)])
