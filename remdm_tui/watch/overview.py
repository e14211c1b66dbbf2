"""One row of figures for each sample of a batch, or for each pane.  Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.records import ModelInfo
from engine.sampling.trace import Record
from remdm_tui.render.canvas import plain_text


@dataclass(frozen=True)
class OverviewRow:
    """The figures of one sample up to a step."""

    name: str
    text: str
    """masks are underscores"""
    masked: int
    positions: int
    remasks: int
    """in all steps up to this one"""
    calls: float
    """network calls of one sample"""
    entropy: float
    confidence: float
    """mean probability that the tokens revealed in the step had when they were drawn"""
    gen_ppl: float = math.nan
    """perplexity of the text under a judge; nan: not asked for, or the text has masks"""


@dataclass(frozen=True)
class OverviewColumn:
    """One figure of the rows, by which they can be sorted."""

    title: str
    value: Callable[[OverviewRow], float]
    form: str = ".4g"

    def cell(self, row: OverviewRow) -> str:
        """Return the figure as text."""
        value = self.value(row)
        return "-" if math.isnan(value) else f"{value:{self.form}}"


COLUMNS = (
    OverviewColumn("masked", lambda row: row.masked), OverviewColumn("remasks", lambda row: row.remasks),
    OverviewColumn("NFE", lambda row: row.calls), OverviewColumn("entropy", lambda row: row.entropy, ".2f"),
    OverviewColumn("confid.", lambda row: row.confidence, ".3f"),
    OverviewColumn("gen PPL", lambda row: row.gen_ppl, ".1f"),
)  # fmt: skip


def columns_of(rows: Sequence[OverviewRow]) -> tuple[OverviewColumn, ...]:
    """Return the columns of a table; that of the judge once it has judged."""
    return COLUMNS if any(not math.isnan(row.gen_ppl) for row in rows) else COLUMNS[:-1]


def overview_row(name: str, record: Record, position: int, sample: int, model: ModelInfo) -> OverviewRow:
    """Return the row of one sample at a position of its record."""
    text = plain_text(record, position, sample, model.pieces, model.fragments)
    frame, figures = record.frame(position), record.figures(position, sample)
    if frame is None or figures is None:
        start = record.start
        masked, positions = int((~start.locked[sample]).sum()), start.tokens.shape[1]
        return OverviewRow(name, text, masked, positions, 0, 0, math.nan, math.nan)
    remasks = int(record.curves.column("remasked", sample)[:position].sum())
    calls = frame.network_calls / len(frame.tokens)
    positions = frame.tokens.shape[1]
    return OverviewRow(name, text, figures.masked, positions, remasks, calls, figures.entropy, figures.confidence)


def sorted_rows(rows: list[OverviewRow], by: int | None, descending: bool) -> list[int]:
    """Return the numbers of the rows in order; by: a column, or None for the order that they came in.

    Rows without the figure come last.
    """
    numbers = list(range(len(rows)))
    if by is None:
        return numbers[::-1] if descending else numbers
    values = [COLUMNS[by].value(row) for row in rows]
    known = [number for number in numbers if not math.isnan(values[number])]
    known.sort(key=lambda number: values[number], reverse=descending)
    return known + [number for number in numbers if math.isnan(values[number])]
