"""A figure is one line in FIGURES: side panel, curves, recordings, tables and breakpoints follow."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.debug import fields
from engine.recording import Recording
from engine.records import Change, Settings
from engine.sampling.figures import FIGURES, Curves, FigureKind, Steps, figures
from remdm_tui.exports import ExportRequest, tables
from remdm_tui.widgets.figures import Reading, _rows
from tests.engine.recordings import arbitrary_frames

OLDER = Path(__file__).parents[1] / "fixtures" / "older.remdm"


def surprises(steps: Steps) -> np.ndarray:
    return (steps.after(Change.REVEALED) & (steps.held < 0.25)).sum(-1)


def test_one_line_adds_a_figure_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(FIGURES, "surprises", FigureKind("surpr.", "unlikely tokens revealed", surprises, counts=True))
    recording = Recording.open(OLDER)
    trace = recording.trace(0)
    frames = [trace.frame(position) for position in range(1, len(trace) + 1)]
    expected = [int(((f.change[0] == Change.REVEALED) & (f.held[0] < 0.25)).sum()) for f in frames if f is not None]
    assert any(expected)

    at = figures(frames[-1], 0)
    assert at.values["surprises"] == expected[-1]
    curves = Curves(frames[0].tokens.shape[0])
    for frame in frames:
        curves.append(frame)
    assert curves.column("surprises", 0).tolist() == expected
    # the file holds the other figures, and this one is computed from its frames
    assert trace.curves.column("masked", 0).tolist() == curves.column("masked", 0).tolist()
    assert trace.curves.column("surprises", 0).tolist() == expected
    assert trace.curves.column("expected", 0).tolist() == curves.column("expected", 0).tolist()

    cells = dict(cell for row in _rows(Reading(frames[-1], at, 24, 1.0)) for cell in row)
    assert cells["surpr."] == str(expected[-1])
    request = ExportRequest(recording, tmp_path / "run.csv")
    assert tables.figure_columns(request)["surprises"] == expected
    tables.csv(request)
    with request.out.open(newline="") as file:
        assert [row["surprises"] for row in csv.DictReader(file)] == [str(value) for value in expected]
    recording.close()


def test_edits_are_counted_and_shown_where_a_strategy_edits() -> None:
    recording = Recording.open(OLDER)
    frame = recording.trace(0).frame(3)
    recording.close()
    assert frame is not None
    assert "edited" not in dict(cell for row in _rows(Reading(frame, figures(frame, 0), 24, 1.0)) for cell in row)
    # a step of such a strategy that edits nothing, and the start, have the row too: the panel keeps its height
    for still in (Reading(frame, figures(frame, 0), 24, 1.0, edits=True), Reading(None, None, 24, 1.0, edits=True)):
        assert "edited" in dict(cell for row in _rows(still) for cell in row)
    change = frame.change.copy()
    change[0, :2] = Change.EDITED
    edits = replace(frame, change=change, edit_plan=np.ones(change.shape, np.float32))
    at = figures(edits, 0)
    assert at.values["edited"] == 2
    assert dict(cell for row in _rows(Reading(edits, at, 24, 1.0)) for cell in row)["edited"] == "2"
    curves = Curves(frame.tokens.shape[0])
    curves.append(edits)
    assert curves.column("edited", 0).tolist() == [2]


def test_breakpoints_know_every_figure() -> None:
    assert set(FIGURES) <= set(fields.FIELDS)


def test_over_the_simplex_alpha_is_the_level_of_the_signal() -> None:
    (frame,) = arbitrary_frames(1, 1, 4, 0)[1]
    assert ("alpha", f"{frame.alpha_s:.4f}") in _rows(Reading(frame, figures(frame, 0), 4, 1.0))[0]
    over_simplex = replace(frame, settings=Settings("ssd-lm"))
    assert ("abar", f"{frame.alpha_s:.4f}") in _rows(Reading(over_simplex, figures(frame, 0), 4, 1.0))[0]


def test_the_side_panel_keeps_its_order() -> None:
    at_start = [cell[0] for row in _rows(Reading(None, None, 24, 1.0)) for cell in row]
    known = [
        "t", "alpha", "sigma", "masked", "revealed", "remasked", "NFE", "tok/NFE", "confid.", "p of new",
        "entropy", "steps/s",
    ]  # fmt: skip
    # a new figure comes after these
    assert at_start[: len(known)] == known
