"""The line above everything."""

import re
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len

from engine.debug import laws
from engine.records import Change, Edit, Frame, Settings
from engine.sampling.figures import figures
from engine.sampling.trace import RunStart, Trace
from engine.strategies import catalogue
from remdm_tui.render.panels import Chart
from remdm_tui.render.shorten import shorten, shorten_message
from remdm_tui.ui.charts import Bands, CurveReader, LostTokens, charts, may_edit, overlays, per_call, reveal_confidence
from remdm_tui.ui.panel_data import (
    GONE,
    active_breakpoints,
    play_status,
    progress,
    settings_changes,
    status,
)
from remdm_tui.watch.breakpoints import Breakpoint
from remdm_tui.watch.phase import Dead, EngineFailed, Live, Lost, Phase
from remdm_tui.watch.player import Player
from remdm_tui.widgets.curves import CurvesPanel
from tests.engine.recordings import session_of, start_of

RIGHT = "► playing 12/256 speed max"


@pytest.mark.parametrize("name", ["demo", "runs/" + "deep/" * 30 + "model", "模型" * 40])
@pytest.mark.parametrize("width", [58, 78, 118])
def test_it_fills_the_width_and_ends_with_where_the_view_is(name, width):
    line = status(name, ["remdm-cap eta 0.02", "p 0.9", "seed 0"], RIGHT, width, False)
    assert cell_len(line) == width
    assert line.endswith(f" {RIGHT}")


def test_of_a_long_name_the_end_stays():
    line = status("runs/" + "deep/" * 30 + "mine/model", ["mdlm", "seed 0"], RIGHT, 78, False)
    assert "/mine/model │ mdlm │ seed 0 " in line
    assert line.startswith("…")


def test_ascii_has_no_other_characters():
    line = status("runs/" + "deep/" * 30 + "model", ["mdlm", "seed 0"], "> playing 1/2", 60, True)
    assert line.isascii()
    assert line.startswith("...")


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize(
    "text", ["remdm-cap eta=0.017 top_p=0.66", "eta 0.017 (next: eta 0.0175)", "a 12/256 b 3.25", "模 1.25 型 0.5"]
)
def test_no_width_cuts_a_number(text, ascii_only):
    numbers = re.findall(r"[0-9][0-9./]*", text)
    for width in range(40):
        short = shorten(text, width, ascii_only)
        assert cell_len(short) <= width
        assert not ascii_only or short.replace("模", "").replace("型", "").isascii()
        left = re.findall(r"[0-9][0-9./]*", short.rstrip(".…"))
        assert left == numbers[: len(left)]


def test_a_message_keeps_the_keys_at_its_end():
    short = shorten_message("The engine was killed by signal 9. The record stays (R: restart the engine)", 60)
    assert short == "The engine was killed by signal 9.… (R: restart the engine)"


def test_a_long_path_gives_way_to_the_reason():
    short = shorten_message("Cannot write /a/very/long/path/to/some/directory/run.svg: No such file", 50)
    assert short == "Cannot write …some/directory/run.svg: No such file"


def test_a_narrow_line_says_how_much_of_a_damaged_file_is_left_out():
    short = shorten_message("/some/where/else/damaged.remdm breaks off: its last 123456 bytes are left out", 56)
    assert short == "…ed.remdm breaks off: its last 123456 bytes are left out"


def test_the_header_leaves_out_whole_parts():
    line = status("demo", ["remdm-cap eta 0.017", "p 0.9", "seed 12345"], "> 1/2", 40, False)
    assert line == "remdm-cap eta 0.017 │ p 0.9 │ …    > 1/2"


@pytest.mark.parametrize(("steps", "position", "expected"), [(12, 5, (5, 12, "")), (12, 13, (12, 12, " + clean-up"))])
def test_a_clean_up_is_no_step(steps, position, expected):
    assert progress(trace_with_a_clean_up(steps), position) == expected


@pytest.mark.parametrize(
    ("position", "expected"), [(4, (4, 12, "")), (6, (4, 12, " + 2 edits")), (15, (12, 12, " + clean-up + 2 edits"))]
)
def test_an_edit_is_no_step(position, expected):
    assert progress(trace_with_a_clean_up(12, edits=(4, 5)), position) == expected


def trace_with_a_clean_up(steps, edits=()):
    tokens = np.zeros((1, 4), np.int32)
    trace = Trace(RunStart(tokens, tokens > 0, steps, 0))
    none = np.zeros(tokens.shape, np.float32)
    edit = Edit("lock")
    for index in range(steps + len(edits) + 1):
        change = np.zeros(tokens.shape, np.uint8)
        frame = Frame(index, 1, 0, 0, 1, tokens, change, none, none, none, 0, Settings("a"))
        trace.append(replace(frame, final=index == steps + len(edits), edit=edit if index in edits else None))
    return trace


# -- the header's breakpoints, ticks, and curves


def test_the_header_names_one_active_breakpoint_and_counts_several():
    one, two = Breakpoint(1, "remasked > 4"), Breakpoint(2, "entropy < 2.5 and masked < 12 and t < .3")
    assert active_breakpoints([], False) == []
    assert active_breakpoints([one, replace(two, on=False)], False) == ["■ remasked > 4"]
    assert active_breakpoints([one, two], True) == ["[] 2 breakpoints"]
    (long,) = active_breakpoints([two], False)
    assert cell_len(long) <= 26
    assert long.startswith("■ entropy < 2.5 and")


def test_changes_of_settings_are_those_between_steps():
    trace = trace_with_a_clean_up(4)
    assert settings_changes(trace) == ()
    trace.append(replace(trace.frame(5), index=5, settings=Settings("b")))
    assert settings_changes(trace) == (5,)


def frames_of(strategy):
    frames = list(session_of(strategy, steps=24))
    trace = Trace(start_of(session_of(strategy, steps=24)))
    for frame in frames:
        trace.append(frame)
    return trace, frames


@pytest.mark.parametrize("strategy", ["remdm-cap", "low-confidence"])
def test_the_curve_of_new_tokens_is_the_figure_of_each_step(strategy):
    trace, frames = frames_of(strategy)
    read = CurveReader(reveal_confidence)
    read.BUDGET = 60
    curve = read.of(trace, 1)
    expected = [figures(frame, 1).values["confidence_new"] for frame in frames]
    np.testing.assert_allclose(curve, expected, rtol=1e-6)
    assert read.whole


def test_tokens_that_are_edited_count_as_lost_like_remasked_ones():
    trace, frames = frames_of("informed-corrector")
    lost = [frame.count(Change.REMASKED, 1) + frame.count(Change.EDITED, 1) for frame in frames]
    assert max(lost) > 0
    clock = iter(np.arange(1000) * 0.003)
    slowly = LostTokens(lambda: float(next(clock)))
    first = slowly.of(trace, 1, catalogue())
    assert not slowly.whole
    assert len(first) == len(trace)
    while not slowly.whole:
        curve = slowly.of(trace, 1, catalogue())
    assert curve.tolist() == lost
    trace, frames = frames_of("remdm-cap")
    assert LostTokens().of(trace, 1, catalogue()).tolist() == [frame.count(Change.REMASKED, 1) for frame in frames]


def test_frames_are_read_for_edits_only_where_a_strategy_may_edit():
    assert may_edit(frames_of("llada21-edit")[0], catalogue())
    assert not may_edit(frames_of("remdm-cap")[0], catalogue())
    # one that is not known may
    assert may_edit(frames_of("remdm-cap")[0], ())


def test_a_curve_is_read_a_few_milliseconds_at_a_time():
    trace, _ = frames_of("remdm-cap")
    clock = iter(np.arange(1000) * 0.003)
    read = CurveReader(reveal_confidence, lambda: float(next(clock)))
    lengths = [len(read.of(trace, 0))]
    assert not read.whole
    while len(read.of(trace, 0)) < len(trace):
        pass
    read.whole = True
    assert len(read.of(trace, 0)) == len(trace)
    assert read.whole
    assert 0 < lengths[0] < 4


def test_tokens_per_call_count_what_stands_over_the_calls_of_one_sample():
    trace, frames = frames_of("remdm-cap")
    found = next(chart for chart in charts(trace, 24, 1) if chart.label.startswith("tokens per NFE"))
    last = frames[-1]
    open_ = int((~trace.start.locked[1]).sum())
    assert found.values[-1] == (open_ - last.masked[1].sum()) / (last.network_calls / 2)
    assert found.label == "tokens per NFE, mean of the batch"
    assert np.isnan(per_call(np.array([9.0]), np.array([0.0]), 9))[0]


def test_a_tick_marks_a_change_on_curves_and_timeline():
    panel = CurvesPanel(ascii_only=True)
    chart = Chart("a", np.zeros(10), 1.0)
    top = panel._chart(chart, 10, 0, 20, 3, (5,))[0]
    assert "".join(text for text, _ in top)[10] == "v"


def test_the_band_is_the_laws_own_and_no_point_is_computed_twice(monkeypatch):
    expected, computed = 1 - np.arange(1, 65) / 64, []
    band = laws.marginal_band

    def counted(values, positions, steps):
        computed.extend(steps.tolist())
        return band(values, positions, steps)

    monkeypatch.setattr(laws, "marginal_band", counted)
    bands = Bands()
    for length in (20, 40, 64, 64):
        least, most = bands.of(expected[:length], 96, 64)
    own = band(expected, 96, np.arange(64))
    np.testing.assert_allclose((least, most), own)
    assert sorted(computed) == list(range(64))
    assert bands.of(np.array([0.5, 0.9]), 96, 64) is None


class Growing:
    """A record of which each look shows one step more, as one that an engine adds to meanwhile."""

    def __init__(self, trace):
        self._trace, self.curves, self._steps = trace, self, 5

    def __getattr__(self, name):
        return getattr(self._trace, name)

    def __len__(self):
        return len(self._trace)

    def column(self, name, sample):
        self._steps += 1
        return self._trace.curves.column(name, sample)[: self._steps]


def test_curves_of_a_record_that_grows_meanwhile_have_as_many_steps():
    session = session_of("remdm-cap")
    trace = Trace(start_of(session))
    for frame in session:
        trace.append(frame)
    shown = {chart.label.partition(",")[0]: chart for chart in charts(Growing(trace), 5, 0)}
    assert {len(shown[label].values) for label in ("masked", "remasked a step", "confidence")} == {6}
    for overlay in overlays([("A", Growing(trace), 5), ("B", Growing(trace), 3)], 0):
        assert {len(values) for _, values in overlay.curves} == {6}


@pytest.mark.parametrize("phase", [Dead("killed"), EngineFailed("no file"), Lost("cut", 2.0)])
def test_the_header_says_why_a_run_goes_no_further_unless_it_has_ended_or_the_record_plays(phase: Phase) -> None:
    at, word = (3, 9, ""), GONE[type(phase)]
    stopped = Player(position=3, recorded=3, playing=False)
    assert play_status(stopped, at, False, phase=phase).startswith(f"✗ {word} 3/9")
    assert play_status(replace(stopped, position=1), at, True, phase=phase).startswith(f"x {word} 3/9 (recorded 3)")
    assert play_status(replace(stopped, position=1, playing=True), at, True, phase=phase).startswith("> playing")
    # a recording that ends before its run did
    assert play_status(replace(stopped, ended=True), at, True, phase=phase).startswith("[] recorded 3/9")
    assert play_status(replace(stopped, ended=True), (9, 9, ""), True, phase=phase).startswith("[] done 9/9")
    assert play_status(stopped, at, True, phase=Live()).startswith("|| paused")
