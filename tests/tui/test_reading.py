"""What the panels show of a record: the masked fraction beside what chance allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.debug import laws
from engine.recording import Recording
from engine.records import Change
from engine.strategies import catalogue
from engine.trace import Start, Trace
from remdm_tui.reading import band, banded, charts
from tests.engine.recordings import recorded, session_of, start_of


def run(strategy: str, **more: object) -> Trace:
    session = session_of(strategy, **more)  # type: ignore[arg-type]
    trace = Trace(start_of(session))
    for frame in session:
        trace.append(frame)
    return trace


def test_the_band_is_that_of_the_law_at_every_step_that_a_chart_shows() -> None:
    expected = np.linspace(1, 0, 64)
    least, most = laws.band(expected, 128, np.arange(64))
    assert band(expected, 128) is not None
    for mine, theirs in zip(band(expected, 128) or (), (least, most), strict=True):
        assert mine == pytest.approx(theirs)


def test_a_band_over_many_steps_is_near_that_of_the_law() -> None:
    expected, steps = np.linspace(1, 0, 4_096), np.arange(4_096)
    for mine, theirs in zip(band(expected, 1_024) or (), laws.band(expected, 1_024, steps), strict=True):
        assert np.abs(mine - theirs)[10:-45].max() < 0.01


def test_where_time_starts_anew_there_is_no_band() -> None:
    assert band(np.array([1.0, 0.5, 1.0, 0.5]), 12) is None
    assert band(np.zeros(0), 12) is None


def test_only_strategies_that_claim_to_keep_the_marginals_have_a_band() -> None:
    assert banded(run("remdm-cap"), catalogue())
    assert not banded(run("low-confidence"), catalogue())
    assert charts(run("remdm-cap"), 3, 0, True)[0].band is not None
    assert charts(run("remdm-cap"), 3, 0)[0].band is None


def test_a_run_that_somebody_has_edited_has_no_band(tmp_path: Path) -> None:
    from engine.records import Edit

    session = session_of("remdm-cap")
    trace = Trace(start_of(session))
    trace.append(next(session))
    trace.append(session.edit(Edit("force", 0, 0, (1,))))
    assert not banded(trace, catalogue())


def test_a_correct_strategy_stays_in_its_band() -> None:
    chart = charts(run("remdm-cap", length=48, steps=40), 0, 0, True)[0]
    least, most = chart.band or (chart.values, chart.values)
    assert (least - 1e-9 <= chart.values).all()
    assert (chart.values <= most + 1e-9).all()


def test_the_prompt_does_not_count_as_revealed(tmp_path: Path) -> None:
    recorded(tmp_path / "run", prompt=(0, 1, 2, 3))
    trace = Recording.open(tmp_path / "run").trace()
    open_ = (trace.change(0, 0) != Change.LOCKED).sum()
    assert open_ == 8
    first = trace.frame(1)
    assert first is not None
    assert charts(trace, 1, 0)[0].values[0] == (first.masked[0].sum()) / open_


def test_a_start_that_is_all_prompt_has_a_chart() -> None:
    start = Start(np.zeros((1, 4), np.int32), np.ones((1, 4), bool), 4, 0)
    assert charts(Trace(start), 0, 0, True)[0].values.size == 0
