"""The map's cells against a double loop, when a whole run is pooled and when steps come one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.recording import Recording
from engine.records import Change, Frame
from engine.sampling.trace import Trace
from remdm_tui.render import plate as plates
from remdm_tui.render.palette import LEVEL_COUNT
from remdm_tui.render.plate import Plate, State
from remdm_tui.render.plate_modes import LEVEL, LOST, MASKED, MODES, PLAIN, Levels, Scan
from remdm_tui.render.plate_pool import Pool
from remdm_tui.render.viewport import Viewport, edges
from tests.engine.recordings import arbitrary_frames, busy_frames, recorded

ALL = 10**9
RECORDED = sorted(mode.name for mode in MODES.values() if not mode.network)
"""Modes that need the recording alone."""


def trace_of(seed: int, count: int, length: int) -> Trace:
    """Frames of which none follows from the one before, edits among them."""
    start, frames = arbitrary_frames(count, 2, length, seed)
    trace = Trace(start)
    for frame in frames:
        trace.append(frame)
    return trace


def slow_states(trace: Trace, sample: int) -> list[list[State]]:
    """The state of every position after every step, the obvious way."""
    table = []
    for step in range(len(trace) + 1):
        change, frame = trace.change(step, sample), trace.frame(step)
        row = [
            {0: State.MASKED, 1: State.KEPT, 2: State.REVEALED, 3: State.REMASKED, 4: State.LOCKED}[int(c)]
            for c in change
        ]
        if frame is not None and frame.edit is not None:
            before = trace.change(step - 1, sample)
            for i, c in enumerate(change):
                turned = (c == Change.LOCKED) != (before[i] == Change.LOCKED)
                if c in (Change.REVEALED, Change.REMASKED) or turned:
                    row[i] = State.EDITED
        table.append(row)
    return table


def slow_codes(trace: Trace, sample: int, mode: str) -> list[list[int]]:
    """The code of every position after every step in a mode, the obvious way."""
    states = slow_states(trace, sample)
    codes = []
    ages, times = [ALL] * len(states[0]), [0] * len(states[0])
    counted = State.EDITED if mode == "times edited" else State.REMASKED
    for step, row in enumerate(states):
        held, line = trace.held(step, sample), []
        for i, state in enumerate(row):
            ages[i] = 0 if state >= State.REVEALED else min(ALL, ages[i] + 1)
            times[i] += state == counted
            if mode == "state":
                code = int(state)
            elif mode == "confidence":
                parts = 0 if np.isnan(held[i]) else int(held[i] * 252)
                level = sum(parts >= least for least in (7, 15, 31, 63, 126))
                code = LEVEL + LEVEL_COUNT - 1 - level
                code = {State.MASKED: MASKED, State.REMASKED: LOST}.get(state, code)
            elif mode == "sigma":
                frame = trace.frame(step)
                applied = frame is not None and frame.edit is None and state in (State.KEPT, State.REMASKED)
                sigma = frame.remask[sample][i] if applied else 0
                code = LEVEL + (sigma > 0) + sum(sigma >= np.float32(limit) for limit in (0.004, 0.016, 0.064, 0.25))
            elif mode == "age":
                code = LEVEL + sum(ages[i] < limit for limit in (1, 4, 16, 64, 256))
            else:
                code = LEVEL + sum(times[i] >= limit for limit in (1, 2, 3, 5, 9))
            line.append(MASKED if code == LEVEL and state == State.MASKED and mode not in ("state",) else code)
        codes.append(line)
    return codes


def slow_pool(
    trace: Trace, sample: int, view: Viewport, grid: tuple[int, int], mode: str, upto: int
) -> tuple[np.ndarray, np.ndarray]:
    """Worst code and share of every cell by a loop over cells, positions and steps; columns before `upto` are read."""
    states, codes = slow_states(trace, sample), slow_codes(trace, sample, mode)
    worst, share = np.zeros(grid, np.uint8), np.full(grid, np.nan, np.float32)
    rows = [*edges(view.top, view.rows, grid[0]).tolist(), view.top + view.rows]
    columns = [*edges(view.left, view.columns, grid[1]).tolist(), view.left + view.columns]
    for y in range(grid[0]):
        for x in range(grid[1]):
            seen = holding = 0
            for step in range(columns[x], max(columns[x] + 1, columns[x + 1])):
                for position in range(rows[y], max(rows[y] + 1, rows[y + 1])):
                    if step < upto:
                        seen += 1
                        holding += states[step][position] not in (State.MASKED, State.REMASKED)
                        worst[y, x] = max(worst[y, x], codes[step][position])
            if seen:
                share[y, x] = holding / seen
    return worst, share


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, int, Viewport, tuple[int, int], str]:
    count, length = draw(st.integers(1, 24)), draw(st.integers(4, 14))
    total = count + 1 + draw(st.integers(0, 5))
    rows, columns = draw(st.integers(1, length)), draw(st.integers(1, total))
    view = Viewport(
        length, total, draw(st.integers(0, length - rows)), draw(st.integers(0, total - columns)), rows, columns
    )
    grid = draw(st.integers(1, 20)), draw(st.integers(1, 30))
    return draw(st.integers(0, 1000)), count, length, view, grid, draw(st.sampled_from(RECORDED))


@settings(max_examples=25, deadline=None)
@given(cases())
def test_a_whole_run_is_pooled_as_a_double_loop_does(case: tuple) -> None:
    seed, count, length, view, grid, mode = case
    trace = trace_of(seed, count, length)
    plate = Plate(trace, 1, reads=MODES[mode].reads)
    assert plate.read()
    pool = Pool(plate, view, grid, MODES[mode])
    worst, share = slow_pool(trace, 1, view, grid, mode, count + 1)
    assert np.array_equal(pool.worst, worst)
    assert np.allclose(pool.share, share, equal_nan=True)


@settings(max_examples=25, deadline=None)
@given(cases())
def test_steps_one_by_one_change_their_own_cells_alone_and_end_as_the_whole_does(case: tuple) -> None:
    seed, count, length, view, grid, mode = case
    start, frames = arbitrary_frames(count, 2, length, seed)
    trace = Trace(start)
    plate = Plate(trace, 0, reads=MODES[mode].reads)
    plate.read()
    pool = Pool(plate, view, grid, MODES[mode])
    for step, frame in enumerate(frames, 1):
        before = pool.worst.copy(), pool.share.copy()
        trace.append(frame)
        plate.read()
        changed = set(pool.update())
        others = [x for x in range(grid[1]) if x not in changed]
        assert np.array_equal(pool.worst[:, others], before[0][:, others])
        assert np.array_equal(pool.share[:, others], before[1][:, others], equal_nan=True)
        worst, share = slow_pool(trace, 0, view, grid, mode, step + 1)
        assert np.array_equal(pool.worst, worst)
        assert np.allclose(pool.share, share, equal_nan=True)


@pytest.mark.parametrize("mode", RECORDED)
def test_a_run_of_several_chunks_is_pooled_alike_whether_or_not_its_columns_stay_in_memory(mode: str) -> None:
    start, frames = busy_frames(3 * plates.CHUNK + 5, 6, 2)
    trace = Trace(start)
    for frame in frames:
        trace.append(frame)
    view, grid = Viewport.whole(6, len(trace) + 1), (4, 25)
    roomy, narrow = (Plate(trace, 0, most=most, reads=MODES[mode].reads) for most in (plates.MOST, 1))
    roomy.read()
    narrow.read()
    one, other = Pool(roomy, view, grid, MODES[mode]), Pool(narrow, view, grid, MODES[mode])
    assert np.array_equal(one.worst, other.worst)
    assert np.array_equal(one.share, other.share, equal_nan=True)
    assert narrow.nbytes <= 2 * 2 * plates.CHUNK * 6 < roomy.nbytes
    worst, _ = slow_pool(trace, 0, view, grid, mode, len(trace) + 1)
    assert np.array_equal(one.worst, worst)


@pytest.mark.parametrize("steps", [2 * plates.CHUNK - 1, 2 * plates.CHUNK + 9])
def test_a_plate_takes_two_bytes_a_position_and_step(steps: int) -> None:
    trace = trace_of(1, steps, 10)
    plate = Plate(trace, 0)
    plate.read()
    assert plate.nbytes == 2 * 10 * plate.length


def test_reading_stops_when_its_time_is_over_and_goes_on_where_it_stopped() -> None:
    trace = trace_of(3, 20, 5)
    plate, now = Plate(trace, 0), iter(range(1000))
    calls = 0
    while not plate.read(3, clock=lambda: float(next(now))):
        calls += 1
        assert 0 < plate.length < 21
    assert calls > 2
    assert plate.length == 21
    whole = Plate(trace, 0)
    whole.read()
    for one, other in zip(plate.columns(0, 21), whole.columns(0, 21), strict=True):
        assert np.array_equal(one.states, other.states)
        assert np.array_equal(one.held, other.held)


def test_a_file_gives_the_plate_that_memory_gives(tmp_path: Path) -> None:
    trace = recorded(tmp_path / "run", "remdm-cap", prompt=(1, 2), steps=30, length=12)
    with_file = Plate(Recording.open(tmp_path / "run").trace(), 1)
    in_memory = Plate(trace, 1)
    assert with_file.read()
    assert in_memory.read()
    one, other = next(with_file.columns(0, 99)), next(in_memory.columns(0, 99))
    assert np.array_equal(one.states, other.states)
    assert np.array_equal(one.held, other.held)
    assert {State.LOCKED, State.MASKED, State.REVEALED} <= set(one.states.ravel().tolist())


def test_a_plate_is_of_one_sample_of_one_record_that_has_not_become_shorter() -> None:
    trace = trace_of(5, 6, 4)
    plate = Plate(trace, 0)
    plate.read()
    assert plate.is_of(trace, 0)
    assert not plate.is_of(trace, 1)
    assert not plate.is_of(trace_of(5, 6, 4), 0)
    shorter: list[Frame] = trace._frames
    shorter.pop()
    assert not plate.is_of(trace, 0)


@pytest.mark.parametrize(
    "mode", [mode for mode in MODES.values() if mode.levels and not mode.network], ids=lambda mode: mode.name
)
def test_the_text_has_the_levels_of_the_map_whichever_step_is_asked_for(mode):
    start, frames = busy_frames(2 * Levels.EVERY + 40, 8, 3)
    trace = Trace(start)
    for frame in frames:
        trace.append(frame)
    plate = Plate(trace, 0, reads=mode.reads)
    plate.read()
    codes, scan = [], Scan(8)
    for columns in plate.columns(0, plate.length):
        codes += list(mode.encode(columns, scan))
    levels = Levels(plate, mode)
    for step in (0, 3, 2, Levels.EVERY, Levels.EVERY - 1, len(trace), 7, 2 * Levels.EVERY + 1):
        expected = [PLAIN if not LEVEL <= code < LOST else mode.levels[code - LEVEL] for code in codes[step].tolist()]
        assert levels.at(step).tolist() == expected, step
    assert levels.at(len(trace) + 1) is None
    assert [level for level, _ in mode.scale] == list(range(LEVEL_COUNT))
