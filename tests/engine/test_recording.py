"""A recorded run equals the run, whatever it was and however it ended."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import tracemalloc
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from engine.recording import Recorder, Recording, frames, plans
from engine.recording import steps as reading
from engine.recording.branch_index import BranchEntry
from engine.recording.frames import FrameHead
from engine.recording.recorder import KEY_EVERY
from engine.recording.state import StoredState
from engine.records import UNCHANGED, Branch, Change, Edit, Frame, Settings
from engine.sampling.figures import FIGURES
from engine.sampling.trace import RunStart, Trace
from engine.strategies import REGISTRY
from tests.engine.recordings import (
    WORDS,
    arbitrary_frames,
    busy_frames,
    difference,
    header,
    recorded,
    session_of,
    start_of,
)  # fmt: skip


def check_equal(trace: Trace, recording: Recording, branch: int = 0) -> None:
    again = recording.trace(branch)
    assert len(again) == len(trace)
    assert again.frame(0) is None
    assert np.array_equal(again.start.tokens, trace.start.tokens)
    assert np.array_equal(again.start.locked, trace.start.locked)
    for position in range(len(trace) + 1):
        mine, its = trace.frame(position), again.frame(position)
        assert (mine is None) == (its is None)
        if mine is not None and its is not None:
            assert difference(mine, its) == ""
        for sample in range(trace.start.tokens.shape[0]):
            assert np.array_equal(trace.tokens(position, sample), again.tokens(position, sample))
            assert np.array_equal(trace.change(position, sample), again.change(position, sample))
            assert trace.held(position, sample).tobytes() == again.held(position, sample).tobytes()
    assert again.settings() == trace.settings()


def test_every_bit_of_what_is_held_is_recorded_and_a_masks_own_nan_costs_nothing() -> None:
    """-0 is not 0 and one NaN is not another, although they compare as equal, or as unlike themselves."""
    shape = (1, 4)
    start = StoredState.start(np.array([[5, 5, 0, 1]], np.int32), np.array([[False, False, True, True]]))
    change = np.array([[Change.MASKED, Change.MASKED, Change.LOCKED, Change.LOCKED]], np.uint8)
    none = np.broadcast_to(np.float32(0), shape)
    quiet = Frame(0, 1.0, 0.5, 0.0, 0.5, start.tokens, change, start.held, none, none, 1, Settings("any"))
    encoded, before = frames.encode_frame(start, quiet, 0, 0, 5)
    odd = start.held.copy()
    odd.view(np.uint32)[0, 1] += 1  # a NaN with another payload
    odd[0, 2:] = 0.0, -0.0
    for held in (odd, -odd):
        strange = replace(quiet, index=1, t=0.5, s=0.25, alpha_t=0.5, alpha_s=0.75, network_calls=2, held=held)
        body, after = frames.encode_frame(before, strange, 0, 0, 5)
        assert len(body) > len(encoded)
        again = frames.decode_frame(
            before, bytes(1) + body, Settings("any"), header(RunStart(start.tokens, odd < 1, 2, 0))
        )
        assert again.held.tobytes() == held.tobytes()
        before = after
    zeros = replace(quiet, held=np.array([[np.nan, np.nan, 0.0, 0.0]], np.float32))
    _, before = frames.encode_frame(start, zeros, 0, 0, 5)
    minus = replace(zeros, held=np.array([[np.nan, np.nan, 0.0, -0.0]], np.float32))
    body, _ = frames.encode_frame(before, minus, 0, 0, 5)
    again = frames.decode_frame(before, bytes(1) + body, Settings("any"), header(RunStart(start.tokens, odd < 1, 2, 0)))
    assert np.signbit(again.held).tolist() == [[False, False, False, True]]
    same, _ = frames.encode_frame(before, zeros, 0, 0, 5)
    assert frames.head(bytes(1) + same)[0].flags & frames.ODD == 0


def quiet() -> tuple[StoredState, Frame]:
    """A state of four masks, and a frame that leaves it as it is."""
    start = StoredState.start(np.full((1, 4), 5, np.int32), np.zeros((1, 4), bool))
    none = np.broadcast_to(np.float32(0), (1, 4))
    change = np.full((1, 4), Change.MASKED, np.uint8)
    return start, Frame(0, 1.0, 0.5, 0.0, 0.5, start.tokens, change, start.held, none, none, 0, Settings("any"))


@pytest.mark.parametrize("sign", [1, -1])
def test_network_calls_beyond_what_a_recording_holds_are_refused(sign: int) -> None:
    start, frame = quiet()
    most = sign * frames.MOST_CALLS
    body, _ = frames.encode_frame(start, replace(frame, network_calls=most), 0, 0, 5)
    assert frames.head(bytes(1) + body)[0].calls == most
    with pytest.raises(ValueError, match="network calls, more than a recording can hold"):
        frames.encode_frame(start, replace(frame, network_calls=most + sign), 0, 0, 5)


@pytest.mark.parametrize("change", [Change.REVEALED, Change.HELD])
def test_a_token_one_beyond_the_vocabulary_is_refused(change: Change) -> None:
    """Both where a step reveals it and where it stands without that."""
    start, frame = quiet()
    made = header(RunStart(start.tokens, np.zeros((1, 4), bool), 2, 0))
    for token in (4, 5, 6):
        tokens, changes, held = frame.tokens.copy(), frame.change.copy(), frame.held.copy()
        tokens[0, 1], changes[0, 1], held[0, 1] = token, change, 0.5
        body, _ = frames.encode_frame(start, replace(frame, tokens=tokens, change=changes, held=held), 0, 0, 5)
        outside = pytest.raises(ValueError, match="holds a token outside its vocabulary")
        with outside if token == 6 else nullcontext():
            assert frames.decode_frame(start, bytes(1) + body, Settings("any"), made).tokens[0, 1] == token


def test_a_step_that_changes_a_locked_position_is_refused() -> None:
    start, frame = quiet()
    change, tokens = frame.change.copy(), frame.tokens.copy()
    change[0, 1], tokens[0, 1] = Change.REVEALED, 2
    body, _ = frames.encode_frame(start, replace(frame, change=change, tokens=tokens), 0, 0, 5)
    locked = StoredState.start(np.array([[5, 2, 5, 5]], np.int32), np.array([[False, True, False, False]]))
    with pytest.raises(ValueError, match="changes a locked position"):
        frames.decode_frame(
            locked, bytes(1) + body, Settings("any"), header(RunStart(start.tokens, start.held < 1, 2, 0))
        )


@pytest.mark.parametrize("excess", [0.0, 1e-300, 1e-9, 3.5])
def test_an_excess_of_any_size_is_recorded(excess: float) -> None:
    start, frame = quiet()
    body, _ = frames.encode_frame(start, replace(frame, excess=excess), 0, 0, 5)
    made = header(RunStart(start.tokens, start.held < 1, 2, 0))
    assert frames.decode_frame(start, bytes(1) + body, Settings("any"), made).excess == excess


@pytest.mark.parametrize("code", [len(UNCHANGED), 200])
def test_a_change_that_does_not_exist_is_refused(code: int) -> None:
    start, frame = quiet()
    wrong = replace(frame, change=np.full((1, 4), code, np.uint8))
    with pytest.raises(ValueError, match="has a change that does not exist"):
        frames.encode_frame(start, wrong, 0, 0, 5)
    # as a recorder that does not look would have written it
    locked = bytes([Change.LOCKED] * 4)
    body, _ = frames.encode_frame(start, replace(frame, change=np.frombuffer(locked, np.uint8)[None]), 0, 0, 5)
    assert body.count(locked) == 1
    body = body.replace(locked, bytes([code] * 4))
    with pytest.raises(ValueError, match="has a change that does not exist"):
        frames.decode_frame(
            start, bytes(1) + body, Settings("any"), header(RunStart(start.tokens, start.held < 1, 2, 0))
        )


def check_curves(trace: Trace, recording: Recording, branch: int = 0) -> None:
    again = recording.trace(branch)
    for name in (*FIGURES, "expected", "calls"):
        for sample in range(trace.start.tokens.shape[0]):
            np.testing.assert_array_equal(
                again.curves.column(name, sample), trace.curves.column(name, sample), err_msg=name
            )


@pytest.mark.parametrize("strategy", REGISTRY)
def test_a_replay_equals_the_run_bit_for_bit(tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # a key in the middle, without the steps that there are to a key
    monkeypatch.setattr("engine.recording.recorder.KEY_EVERY", 16)
    batch = 1 if strategy == "left-to-right" else 2
    trace = recorded(tmp_path / "run", strategy, batch=batch, steps=28)
    recording = Recording.open(tmp_path / "run")
    assert recording.damage == ""
    check_equal(trace, recording)
    check_curves(trace, recording)


@pytest.mark.parametrize("strategy", ["remdm-cap", "remdm-conf", "low-confidence"])
def test_so_does_one_in_blocks_behind_a_prompt(tmp_path: Path, strategy: str) -> None:
    trace = recorded(tmp_path / "run", strategy, (1, 4), block_length=3, length=14)
    frames = [trace.frame(p) for p in range(1, len(trace) + 1)]
    assert {frame.block for frame in frames if frame} == {0, 1, 2, 3}
    check_equal(trace, Recording.open(tmp_path / "run"))


def test_so_does_one_whose_settings_were_changed_in_flight(tmp_path: Path) -> None:
    session = session_of("remdm-cap")
    start = start_of(session)
    trace, recorder = Trace(start), Recorder.create(tmp_path / "run", header(start), start)
    for frame in session:
        trace.append(frame)
        recorder.frame(0, frame)
        session.set(top_p=0.9 if session.index % 8 < 4 else 0.5)
    recorder.close()
    recording = Recording.open(tmp_path / "run")
    assert len(trace.settings()) > 3
    check_equal(trace, recording)
    assert len(recording.index.settings) == 2, "settings that come back are written once"


@pytest.mark.parametrize("seed", range(6))
def test_so_does_one_in_which_no_frame_follows_from_the_one_before(tmp_path: Path, seed: int) -> None:
    start, frames = arbitrary_frames(90, 1 + seed % 2, 17, seed)
    trace, recorder = Trace(start), Recorder.create(tmp_path / "run", header(start), start)
    for frame in frames:
        trace.append(frame)
        recorder.frame(0, frame)
    recorder.close()
    recording = Recording.open(tmp_path / "run")
    check_equal(trace, recording)
    assert recording.trace().edits() == [frame.index + 1 for frame in frames if frame.edit is not None]
    assert 10 < len(recording.trace().edits()) < 90


HAND = {
    3: [Edit("force", None, 5, (2,), 0.25), Edit("lock", None, 5)],
    12: [Edit("force", 1, 3, (1,)), Edit("mask", 1, 3)],
    20: [Edit("unlock", 0, 5)],
    30: [Edit("prompt", None, 0, (4, 1))],
}
"""What a person does once so many frames are there."""


def test_a_persons_edits_are_frames_of_the_record_and_can_be_done_again(tmp_path: Path) -> None:
    session = session_of("remdm-conf", steps=40)
    start = start_of(session)
    trace, recorder = Trace(start), Recorder.create(tmp_path / "run", header(start), start)
    for frame in session:
        for one in (frame, *map(session.edit, HAND.get(session.index, []))):
            trace.append(one)
            recorder.frame(0, one)
    recorder.close()
    recording = Recording.open(tmp_path / "run")
    check_equal(trace, recording)
    replay = recording.trace()
    assert replay.edits() == [4, 5, 13, 14, 21, 31]
    # what the file holds is enough to take every step again
    again = session_of("remdm-conf", steps=40)
    for position in range(1, len(replay) + 1):
        its = replay.frame(position)
        assert its is not None
        mine = next(again) if its.edit is None else again.edit(its.edit)
        assert difference(mine, its) == ""


def test_plans_that_are_constant_over_stretches_come_back_bit_by_bit(tmp_path: Path) -> None:
    for strategy, more in (("remdm-cap", {}), ("low-confidence", {}), ("remdm-cap", {"block_length": 4})):
        path = tmp_path / f"{strategy}{len(more)}"
        trace = recorded(path, strategy, **more)
        again = Recording.open(path).trace()
        for position in range(1, len(trace) + 1):
            mine, its = trace.frame(position), again.frame(position)
            assert mine is not None
            assert its is not None
            assert mine.unmask.tobytes() == its.unmask.tobytes()
            assert mine.remask.tobytes() == its.remask.tobytes()


def test_plans_by_position_are_off_by_no_more_than_is_promised(tmp_path: Path) -> None:
    trace = recorded(tmp_path / "run", "remdm-conf", steps=100, length=90, batch=2)
    again = Recording.open(tmp_path / "run").trace()
    differ = 0
    for position in range(1, len(trace) + 1):
        mine, its = trace.frame(position), again.frame(position)
        assert mine is not None
        assert its is not None
        for a, b in ((mine.unmask, its.unmask), (mine.remask, its.remask)):
            assert (np.abs(a - b) <= plans.TOLERANCE * np.abs(a)).all()
            differ += a.tobytes() != b.tobytes()
    assert differ > 0, "this run does not try what it should"


def test_a_step_is_the_same_wherever_one_comes_from(tmp_path: Path) -> None:
    trace = recorded(tmp_path / "run", steps=3 * KEY_EVERY + 5)
    recording = Recording.open(tmp_path / "run")
    places = np.random.default_rng(0).integers(1, len(trace) + 1, 200).tolist()
    for position in [*places, *range(len(trace), 0, -1)]:
        mine, its = trace.frame(position), recording.trace().frame(position)
        assert mine is not None
        assert its is not None
        assert difference(mine, its) == ""


def test_a_step_is_rebuilt_from_few_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "run", steps=4 * KEY_EVERY)
    decoded = []
    real = reading.StepReader._decode
    monkeypatch.setattr(reading.StepReader, "_decode", lambda self, *a: decoded.append(1) or real(self, *a))
    for position in range(1, 4 * KEY_EVERY, 7):
        recording = Recording.open(tmp_path / "run")
        decoded.clear()
        recording.trace().frame(position)
        assert 0 < len(decoded) <= KEY_EVERY


def test_a_state_is_written_whole_after_exactly_so_many_steps_of_its_branch(tmp_path: Path) -> None:
    start, made = busy_frames(2 * KEY_EVERY + 1, 4, 1)
    frames = list(made)
    recorder = Recorder.create(tmp_path / "run", header(start, len(WORDS), len(WORDS) - 1, WORDS), start)
    for frame in frames:
        recorder.frame(0, frame)
    number = recorder.branch(0, 10)
    for frame in frames[10 : 10 + KEY_EVERY]:
        recorder.frame(number, frame)
    assert [line.keys for line in recorder.recording.index.lines] == [[KEY_EVERY, 2 * KEY_EVERY], []]
    recorder.frame(number, frames[10 + KEY_EVERY])
    recorder.close()
    lines = Recording.open(tmp_path / "run").index.lines
    assert [line.keys for line in lines] == [[KEY_EVERY, 2 * KEY_EVERY], [10 + KEY_EVERY]]


# -- branches


def test_settings_that_a_branchs_parent_changed_from_the_fork_on_are_not_the_branchs(tmp_path: Path) -> None:
    session = session_of("remdm-cap", steps=12)
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    for frame in islice(session, 4):
        recorder.frame(0, frame)
    session.set(top_p=0.5)
    for frame in islice(session, 4):
        recorder.frame(0, frame)
    first, then = session.frames[3].settings, session.frames[4].settings
    assert first != then
    for at in (3, 4, 5):
        recorder.branch(0, at)
    recorder.close()
    found = [Recording.open(tmp_path / "run").settings(branch) for branch in range(4)]
    assert found == [[(0, first), (4, then)], [(0, first)], [(0, first)], [(0, first), (4, then)]]


def test_a_branch_that_is_cut_is_as_if_it_had_never_gone_further() -> None:
    def entry(settings: list[int]) -> BranchEntry:
        line = BranchEntry(Branch(1, 0, 3), 0, 0, 1)
        for i, number in enumerate(settings):
            line.add(100 + i, FrameHead(1, 3 + i, number, 0, 1, 0.5), 0.5)
        return line

    settings = [0, 0, 1, 1, 2]
    for position in range(1, 9):
        line, expected = entry(settings), entry(settings[: max(0, position - 3)])
        line.cut(position)
        assert len(line) == max(3, position)
        for name in ("offsets", "settings", "changes", "expected", "calls"):
            assert getattr(line, name) == getattr(expected, name), (position, name)


def test_a_branch_shares_its_parents_steps_and_goes_its_own_way(tmp_path: Path) -> None:
    session = session_of("remdm-cap", steps=30)
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)

    def go_on(steps: int) -> None:
        for frame in islice(session, steps):
            recorder.frame(session.branch, frame)

    go_on(20)
    for parent, at, top_p in ((0, 12, 0.3), (1, 15, 0.99), (1, 6, 0.5)):
        session.switch(parent)
        number = session.fork(at)
        assert recorder.branch(parent, at) == number
        session.set(top_p=top_p)
        go_on(30)
    # the run itself goes on beside its branches
    session.switch(0)
    go_on(30)
    recorder.mark(2, 17, "here")
    recorder.mark(3, 30, "the end")
    recorder.close()
    recording = Recording.open(tmp_path / "run")
    assert recording.branches == session.branches == (Branch(0), Branch(1, 0, 12), Branch(2, 1, 15), Branch(3, 1, 6))
    assert [(mark.branch, mark.position, mark.label) for mark in recording.marks] == [
        (2, 17, "here"), (3, 30, "the end"),
    ]  # fmt: skip
    for branch in session.branches:
        session.switch(branch.id)
        trace = Trace(start)
        for frame in session.frames:
            trace.append(frame)
        assert len(trace) == 30
        check_equal(trace, recording, branch.id)
        check_curves(trace, recording, branch.id)
    with pytest.raises(ValueError, match="has branches 0 to 3, not 4"):
        recording.trace(4)


# -- a file that grows


def test_what_is_being_recorded_can_be_read_at_the_same_time(tmp_path: Path) -> None:
    start, frames = busy_frames(400, 64, 8)
    recorder = Recorder.create(tmp_path / "run", header(start, len(WORDS), len(WORDS) - 1, WORDS), start)
    live, kept = recorder.trace(), list(frames)
    wrong: list[str] = []

    def look() -> None:
        rng = np.random.default_rng(1)
        while len(live) < len(kept):
            if len(live):
                position = int(rng.integers(1, len(live) + 1))
                frame = live.frame(position)
                assert frame is not None
                wrong.append(difference(frame, kept[position - 1]))
                assert len(live.curves.column("masked", 0)) >= position

    reader = threading.Thread(target=look)
    reader.start()
    for frame in kept:
        live.append(frame)
    reader.join()
    assert set(wrong) == {""}
    assert len(live.curves.column("entropy", 0)) == 400


def test_a_spooled_recording_is_kept_where_one_says_and_goes_on_there(tmp_path: Path) -> None:
    session = session_of("remdm-cap")
    start = start_of(session)
    recorder, trace = Recorder.spool(header(start), start), Trace(start)
    for frame in session:
        if frame.index == 10:
            recorder.keep(tmp_path / "run")
        trace.append(frame)
        recorder.frame(0, frame)
    with pytest.raises(FileExistsError):
        recorder.keep(tmp_path / "run")
    recorder.close()
    check_equal(trace, Recording.open(tmp_path / "run"))


def test_where_temporary_files_have_no_room_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    start, frames = arbitrary_frames(1, 1, 8, 0)
    made = Recorder.spool(header(start), start)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    for write in (lambda: Recorder.spool(header(start), start), lambda: made.frame(0, frames[0])):
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as refused:
            write()
        assert refused.value.filename == f"the recording in {tempfile.gettempdir()}"


def test_memory_does_not_grow_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CACHE", 1 << 18)

    def growth(keep: bool) -> float:
        """Bytes that a frame leaves behind."""
        start, frames = busy_frames(1_200, 256, 4)
        made = header(start, len(WORDS), len(WORDS) - 1, WORDS)
        trace = Trace(start) if keep else Recorder.create(tmp_path / "run", made, start).trace()
        tracemalloc.start()
        for frame in frames:
            trace.append(frame)
            if frame.index == 599:
                before = tracemalloc.get_traced_memory()[0]
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        return grown / 600

    # texts of tokens that are new and a number of each figure, too
    assert growth(keep=False) < 750
    assert growth(keep=True) > 2_000


def test_a_run_of_4096_steps_takes_less_than_2_mb(tmp_path: Path) -> None:
    # remdm-cap at eta = 0.04 remasks 41 of 1,024 tokens at its end and half as many on average
    start, frames = busy_frames(4 * KEY_EVERY, 1024, 21, words=1_000)
    recorder = Recorder.create(tmp_path / "run", header(start, len(WORDS), len(WORDS) - 1, WORDS), start)
    for frame in frames:
        recorder.frame(0, frame)
        if frame.index == 2 * KEY_EVERY:
            before = os.path.getsize(tmp_path / "run")
    recorder.close()
    each = (os.path.getsize(tmp_path / "run") - before) / (2 * KEY_EVERY - 1)
    assert 200 < each < 2_000_000 / 4_096


# -- what cannot be recorded


def test_a_frame_out_of_turn_or_of_another_run_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    start, (first, second, *_) = arbitrary_frames(3, 1, 8, 0)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    recorder.frame(0, first)
    wrong: dict[str, Frame] = {
        "frame 0 cannot follow 1 recorded ones": first,
        "has another shape": replace(second, tokens=np.zeros((1, 9), np.int32)),
        "a token outside the vocabulary of 6": replace(second, tokens=np.full((1, 8), 6, np.int32)),
        "a change that does not exist": replace(second, change=np.full((1, 8), len(Change), np.uint8)),
        "a word that is not a name": replace(second, settings=Settings("\x1b[31m")),
    }
    for sentence, frame in wrong.items():
        with pytest.raises(ValueError, match=sentence):
            recorder.frame(0, frame)
    for call in (lambda: recorder.frame(1, second), lambda: recorder.branch(0, 7), lambda: recorder.mark(0, 2)):
        with pytest.raises(ValueError, match=r"no branch 1|no step 7|no step 2"):
            call()
    recorder.frame(0, second)
    recorder.close()
    assert len(Recording.open(tmp_path / "run").trace()) == 2
    with pytest.raises(ValueError, match="is closed"):
        recorder.mark(0, 1)


def test_a_recording_that_is_read_takes_no_frames(tmp_path: Path) -> None:
    trace = recorded(tmp_path / "run")
    with pytest.raises(ValueError, match="only being read"):
        Recording.open(tmp_path / "run").trace().append(trace.frame(1))  # type: ignore[arg-type]


def test_the_file_holds_the_texts_of_the_tokens_that_occur_and_no_others(tmp_path: Path) -> None:
    start, frames = busy_frames(20, 32, 3)
    recorder = Recorder.create(tmp_path / "run", header(start, len(WORDS), len(WORDS) - 1, WORDS), start)
    occurred = {len(WORDS) - 1}
    for frame in frames:
        occurred |= set(frame.tokens.ravel().tolist())
        recorder.frame(0, frame)
    recorder.close()
    model = Recording.open(tmp_path / "run").model
    assert {token for token, text in enumerate(model.pieces) if text} == occurred
    assert all(model.pieces[token] == WORDS[token] for token in occurred)


@pytest.mark.parametrize("more", [{}, {"steps": 24, "length": 12, "block_length": 6}])
def test_a_recording_knows_its_clean_ups_as_memory_does(tmp_path: Path, more: dict[str, int]) -> None:
    trace = recorded(tmp_path / "run", "forward-backward", **more)
    expected = [frame.index + 1 for frame in map(trace.frame, range(1, len(trace) + 1)) if frame and frame.final]
    assert expected[-1] == len(trace)
    assert Recording.open(tmp_path / "run").trace().clean_ups() == trace.clean_ups() == expected
