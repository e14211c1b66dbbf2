"""The figures of one sample as a table, one row per step."""

from __future__ import annotations

from csv import writer
from importlib import import_module
from typing import Any

from engine.records import SHARED
from engine.sampling.figures import FIGURES
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import ExportRequest

HEAD = ("step", "t", "s", "alpha_t", "alpha_s", "block")
FORMULA = ("=", "+", "-", "@")
"""What begins a formula in a spreadsheet."""
TAIL = ("network_calls", "excess", "strategy", *SHARED, "knobs", "edit")


def csv(request: ExportRequest) -> None:
    """Write the table as CSV. Raises OSError."""
    columns = figure_columns(request)
    with request.out.open("w", encoding="utf-8", newline="") as file:
        rows = writer(file, lineterminator="\n")
        rows.writerow(columns)
        rows.writerows(map(_cell, row) for row in zip(*columns.values(), strict=True))


def _cell(value: Any) -> Any:
    """Return the value as a spreadsheet should take it: a text that would be a formula there gets an apostrophe."""
    if not isinstance(value, str):
        return value
    text = sanitize(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def parquet(request: ExportRequest) -> None:
    """Write the table as Parquet. Raises ValueError if pyarrow is missing, and OSError."""
    try:
        arrow: Any = import_module("pyarrow")
        files: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise ValueError("Parquet needs the package pyarrow: install it, or export csv") from None
    files.write_table(arrow.table(figure_columns(request)), request.out)


def figure_columns(request: ExportRequest) -> dict[str, list[Any]]:
    """Return the columns by name, [steps] each; `step` is the position after a frame, from 1."""
    trace = request.trace
    columns: dict[str, list[Any]] = {name: [] for name in (*HEAD, *TAIL)}
    for position in range(1, len(trace) + 1):
        frame = trace.frame(position)
        assert frame is not None
        now = frame.settings
        knobs = " ".join(f"{name}={value}" for name, value in now.knobs.items())
        row = (
            position, frame.t, frame.s, frame.alpha_t, frame.alpha_s, frame.block, frame.network_calls, frame.excess,
            now.strategy, *(getattr(now, name) for name in SHARED), knobs,
            "" if frame.edit is None else frame.edit.kind,
        )  # fmt: skip
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    figures = {name: trace.curves.column(name, request.sample).tolist() for name in FIGURES}
    for name, kind in FIGURES.items():
        if kind.counts:
            figures[name] = [int(value) for value in figures[name]]
    return {
        **{name: columns[name] for name in HEAD},
        **figures,
        **{name: columns[name] for name in TAIL},
    }
