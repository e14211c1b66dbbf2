"""The runs that a session has left: no key loses one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from types import SimpleNamespace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.records import Edit, ModelChoice, RunChoice, Settings
from remdm_tui.app import WatchApp
from remdm_tui.preferences.config_file import Configuration
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.screens.compare_runs import CompareRunsScreen
from remdm_tui.screens.earlier_run import EarlierRunScreen
from remdm_tui.screens.runs import RunsScreen
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui import run_app
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch import player as playing
from remdm_tui.watch import reducer, store
from remdm_tui.watch.left_runs import LeftRuns
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.watch.session import WatchSession
from tests.engine.recordings import header, session_of, start_of
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, banner, settle, watching
from tests.tui.test_run_recording import unwritable
from tests.waiting import seen


def record_run(run_recording: RunRecording, steps: int = 3) -> None:
    """Record a run of some steps."""
    session = session_of("remdm-cap")
    start = start_of(session)
    run_recording.expect(ModelChoice("toy"), header(start).model, RunChoice(start.steps, 12, 2), {})
    record = run_recording.make(start)
    for frame in islice(session, steps):
        record.append(frame)


def numbers(run_recording: RunRecording) -> list[int]:
    return [run.summary.number for run in run_recording.left.listed]


@pytest.fixture
def run_recording() -> Iterator[RunRecording]:
    made = RunRecording(clock=lambda: 1.8e9)
    yield made
    made.close()


def test_a_run_that_was_left_is_listed_and_can_be_read(run_recording):
    record_run(run_recording, 4)
    record_run(run_recording)
    assert "Run 1 is kept" in run_recording.tidy()
    (run,) = run_recording.left.listed
    assert (run.summary.strategy, run.summary.steps, run.summary.number) == ("remdm-cap", 4, 1)
    recording = run.open()
    assert len(recording.trace()) == 4
    recording.close()


def test_a_run_without_a_step_is_not_listed(run_recording):
    record_run(run_recording, 0)
    record_run(run_recording)
    assert run_recording.tidy() == ""
    assert numbers(run_recording) == []


@pytest.mark.parametrize("bound", [{"most": 2}, {"most_bytes": 2 * 1024}])
def test_the_oldest_temporary_file_makes_way_and_that_is_reported(run_recording, tmp_path, bound):
    record_run(run_recording)
    size = run_recording.recording.end
    run_recording.left = LeftRuns(**({"most_bytes": size * 5 // 2} if "most_bytes" in bound else bound))
    run_recording.keep(tmp_path / "first.remdm")
    for _ in range(3):
        record_run(run_recording)
        run_recording.tidy()
    record_run(run_recording)
    assert "run 2 was dropped" in run_recording.tidy()
    # a run in a file of its own does not count
    assert numbers(run_recording) == [1, 3, 4]


def test_what_a_person_made_makes_way_last(run_recording):
    run_recording.left = LeftRuns(most=2)
    record_run(run_recording)
    run_recording.mark(0, 1)
    for _ in range(3):
        record_run(run_recording)
        run_recording.tidy()
    assert numbers(run_recording) == [1, 3]


def test_later_runs_of_a_recorded_session_get_names_that_are_free_and_all_are_listed(tmp_path):
    (tmp_path / "run-2.remdm").write_text("mine")
    run_recording = RunRecording(tmp_path / "run.remdm", clock=lambda: 1.8e9)
    record_run(run_recording)
    record_run(run_recording)
    message = run_recording.tidy()
    run_recording.close()
    assert f"Run 1 is in {tmp_path / 'run.remdm'}" in message
    assert f"Recording to {tmp_path / 'run-3.remdm'}" in message
    assert run_recording.files == [str(tmp_path / "run.remdm"), str(tmp_path / "run-3.remdm")]
    assert (tmp_path / "run-2.remdm").read_text() == "mine"


def test_the_application_ends_with_a_line_that_names_every_file(capsys):
    app = SimpleNamespace(run=lambda mouse: None, return_code=0)
    recording = SimpleNamespace(files=["a.remdm", "b.remdm"], unrecorded={3: "b.remdm: No space left on device"})
    session = SimpleNamespace(recording=recording, failure=None)
    assert run_app.run_app(app, session, mouse=False) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "remdm-tui: recorded a.remdm, b.remdm", "remdm-tui: run 3 is in no file: b.remdm: No space left on device"
    ]  # fmt: skip


def test_only_what_a_person_made_and_no_file_has_is_unsaved(run_recording, tmp_path):
    record_run(run_recording)
    run_recording.fork(0, 0)
    assert run_recording.unsaved() == []
    run_recording.fork(0, 2)
    run_recording.mark(0, 1)
    record_run(run_recording)
    run_recording.tidy()
    run_recording.mark(0, 2)
    assert run_recording.unsaved() == ["run 1 (1 branch, 1 bookmark)", "run 2 (1 bookmark)"]
    run_recording.keep(tmp_path / "second")
    assert run_recording.unsaved() == ["run 1 (1 branch, 1 bookmark)"]
    run_recording.keep_left(run_recording.left.listed[0], tmp_path / "first")
    assert run_recording.unsaved() == []


def test_a_run_that_was_to_be_recorded_and_is_in_no_file_is_unsaved_until_it_is(tmp_path):
    run_recording = RunRecording(tmp_path / "none" / "run.remdm", clock=lambda: 1.8e9)
    record_run(run_recording)
    assert run_recording.unsaved() == ["run 1 (not recorded)"]
    assert "No such file" in run_recording.unrecorded[1]
    run_recording.keep(tmp_path / "run")
    assert run_recording.unsaved() == []
    assert run_recording.unrecorded == {}
    run_recording.close()


# -- on the screen


async def left_one(pilot) -> list[int]:
    """Leave a run of three steps by `n`; return its tokens."""
    await settle(pilot)
    await pilot.press("right", "right", "right")
    await seen(pilot, lambda app: app.watching.position == 3)
    before = pilot.app.watching.trace.tokens(3, 0).tolist()
    await pilot.press("n")
    await seen(pilot, lambda app: app.watching.recording.left.listed and app.watching.live)
    return before


def earlier(app) -> bool:
    return isinstance(app.screen, EarlierRunScreen) and app.screen.session.has_record


async def test_two_keys_get_back_a_run_and_one_goes_to_the_live_run():
    async with watching().run_test(size=(120, 40)) as pilot:
        before = await left_one(pilot)
        assert "Run 1 is kept" in banner(pilot.app)
        await pilot.press("U", "enter")
        await seen(pilot, lambda app: earlier(app) and app.screen.session.position == 3)
        opened = pilot.app.screen.session
        assert opened.trace.tokens(3, 0).tolist() == before
        live = pilot.app.watching
        for key in ("n", "r", "m", "R", "w"):
            await pilot.press(key)
            assert earlier(pilot.app)
            assert "does not change" in opened.notice.text
        assert live.seed == 1
        await pilot.press("left")
        await seen(pilot, lambda app: app.screen.session.position == 2)
        await pilot.press("U")
        await seen(pilot, lambda app: app.screen is app.main)
        assert pilot.app.watching is live
        await pilot.press("right")
        await seen(pilot, lambda app: app.watching.position == 1)


async def test_q_and_escape_leave_an_earlier_run_and_not_the_application():
    async with watching().run_test(size=(80, 24)) as pilot:
        await left_one(pilot)
        for key in ("q", "escape"):
            await pilot.press("U", "enter")
            await seen(pilot, earlier)
            await pilot.press(key)
            await seen(pilot, lambda app: app.screen is app.main)
        assert pilot.app.return_code is None


async def test_a_run_is_deleted_by_the_second_key_alone():
    async with watching().run_test(size=(120, 40)) as pilot:
        await left_one(pilot)
        left = pilot.app.watching.recording.left
        await pilot.press("U", "d", "up", "down", "d")
        assert len(left.listed) == 1
        await pilot.press("d")
        assert not left.listed


async def test_a_narrow_list_of_runs_cuts_no_number():
    async with watching().run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        await pilot.press("right", "s", "right", "s", "right")
        await seen(pilot, lambda app: app.watching.position == 3)
        await pilot.press("n")
        await seen(pilot, lambda app: app.watching.recording.left.listed and app.watching.live)
        entropy = f"{pilot.app.watching.recording.left.listed[0].summary.entropy:.2f}"
        await pilot.press("U")

        def shown(app):
            rows = [strip.text for strip in app.screen._compositor.render_strips()]
            heads = any("remasks  entropy" in row for row in rows)
            return heads and any("…  " in row and f" {entropy} " in row for row in rows)

        await seen(pilot, shown)


async def test_a_run_is_recorded_from_the_list(tmp_path):
    async with watching().run_test(size=(120, 40)) as pilot:
        await left_one(pilot)
        await pilot.press("U", "w")
        await seen(pilot, lambda app: not isinstance(app.screen, RunsScreen))
        pilot.app.screen.query_one("Input").value = str(tmp_path / "first")
        await pilot.press("enter")
        await seen(pilot, lambda app: isinstance(app.screen, RunsScreen))
        assert pilot.app.watching.recording.left.listed[0].path == str(tmp_path / "first.remdm")
        # it opens from its file
        await pilot.press("enter")
        await seen(pilot, earlier)


async def test_a_run_is_compared_with_the_live_one():
    async with watching().run_test(size=(120, 40)) as pilot:
        await left_one(pilot)
        await pilot.press("U", "c")
        await seen(pilot, lambda app: isinstance(app.screen, CompareRunsScreen))
        names = [name for name, _, _ in pilot.app.screen._runs]
        assert names == ["run 1", "run 2, live"]


async def test_a_run_that_nothing_can_keep_is_left_by_the_second_key_alone(monkeypatch):
    unwritable(monkeypatch, "spool", "in_memory")
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right")
        # the notice that nothing records the run comes first
        await seen(pilot, lambda app: app.watching.position == 1 and "Not recording" in banner(app))
        for key in ("n", "left", "r"):
            await pilot.press(key)
        await seen(pilot, lambda app: "a new run loses it" in banner(app))
        assert (pilot.app.watching.seed, pilot.app.watching.recorded) == (0, 1)
        await pilot.press("n")
        await seen(pilot, lambda app: app.watching.live and app.watching.recorded == 0)
        assert pilot.app.watching.seed == 1


# -- what ends with the session


async def edited(pilot) -> None:
    """Put a bookmark in the run on screen."""
    await settle(pilot)
    await pilot.press("right")
    await seen(pilot, lambda app: app.watching.position == 1)
    await pilot.press("M")
    await seen(pilot, lambda app: app.watching.recording.marks)


@pytest.mark.parametrize("leave", [("q",), ("ctrl+q",), (":", "q", "enter")], ids=["q", "ctrl+q", ":q"])
async def test_quitting_asks_once_where_it_loses_what_a_person_made(leave):
    async with watching().run_test(size=(120, 40)) as pilot:
        await edited(pilot)
        await pilot.press(*leave)
        await seen(pilot, lambda app: "run 1 (1 bookmark)" in banner(app))
        # another place, another question
        await pilot.press("left")
        await seen(pilot, lambda app: app.watching.position == 0)
        await pilot.press("q")
        await seen(pilot, lambda app: "run 1 (1 bookmark)" in banner(app))
        assert pilot.app.return_code is None
        await pilot.press(*leave)
        await seen(pilot, lambda app: app.ending)


async def test_quitting_asks_nothing_where_a_setting_says_so():
    app = WatchApp(
        WatchOptions(CAP, steps=9, length=8, paused=True), ScriptedLink,
        preferences=Preferences(Configuration(confirm_quit=False)),
    )  # fmt: skip
    async with app.run_test(size=(120, 40)) as pilot:
        await edited(pilot)
        await pilot.press("q")
        await seen(pilot, lambda app: app.ending)


async def test_quitting_asks_nothing_after_a_look():
    async with watching().run_test(size=(120, 40)) as pilot:
        await left_one(pilot)
        await pilot.press("q")
        await seen(pilot, lambda app: app.ending)


# -- whatever a person does, no run is lost and the header tells the truth


def action(session: WatchSession, kind: int, n: int) -> e.SessionEvent:
    """Return one of the actions of a person."""
    state = session.state
    edit = e.EditCanvas(Edit("lock", 0, n % 8)) if state.position else e.Tick(0)
    actions: list[e.SessionEvent] = [
        e.Restart(0), e.Restart(1), e.Load(ModelChoice("other")), e.Revive(), e.Cancel(), e.BranchOff(), e.OpenPanes(),
        e.Move(playing.forward(state.player)), e.Move(playing.forward(state.player)), e.Tick(0.1), e.Tick(0.1),
        e.Move(playing.toggle(state.player)), e.Move(playing.seek(state.player, n)), e.TurnKnob("top_p", 0.5 + n / 20),
        e.TurnKnob("strategy", "mdlm"), edit, e.ShowBranch(n % 3), e.ClosePanes(),
        e.AddPane(Settings("mdlm", {})), e.StartModelCheck(), e.ShowSample(n % 2), e.Compare(n % 3), e.Dismiss(),
        e.Select(n),
    ]  # fmt: skip
    return actions[kind % len(actions)]


def header_is_the_frames(session: WatchSession) -> None:
    """The header's settings are those of the frame on screen, read from the record itself."""
    record = session.trace
    if record is None or not len(record):
        return
    frame = record.frame(max(1, session.position))
    assert frame is not None
    assert session.made == frame.settings


def walk_through(walk: list[tuple[int, int]], keeps: bool = True) -> None:
    """Take the actions of a walk; after each, the header is the record's, and with `keeps` no run is lost."""
    recording = RunRecording()
    recording.left = LeftRuns(most=1000)
    session = WatchSession(OPTIONS, ScriptedLink, recording)
    session.start()
    session.tick(0)
    started: dict[int, int] = {}
    """the steps that were seen of each run"""
    for kind, n in walk:
        session._dispatch(action(session, kind, n))
        for _ in range(3):
            # a model is loaded, a run begins, and the one before it is left
            session.tick(0.1)
        header_is_the_frames(session)
        longest = max(len(recording.record(branch.id)) for branch in recording.branches)
        started[recording._runs] = max(started.get(recording._runs, 0), longest)
        there = {run.summary.number for run in recording.left.listed} | {recording._runs}
        # plain memory holds one run alone
        assert not keeps or {number for number, steps in started.items() if steps} <= there
    for run in recording.left.listed:
        with closing(run.open()) as opened:
            assert max(opened.length(branch.id) for branch in opened.branches) >= started.get(run.summary.number, 0)
    session.close()


OPTIONS = WatchOptions(CAP, ModelChoice("good"), steps=9, length=8, batch=2, paused=True)
WALKS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 8)), min_size=40, max_size=40)
FEW = settings(max_examples=6, deadline=None, derandomize=True, phases=(Phase.generate,))


@FEW
@given(WALKS, st.booleans())
def test_no_action_loses_a_run_or_puts_other_settings_above_a_step(walk, writable):
    with pytest.MonkeyPatch.context() as patch:
        if not writable:
            unwritable(patch, "spool")
        walk_through(walk)


@settings(FEW, max_examples=4)
@given(WALKS)
def test_a_run_that_nothing_can_keep_is_left_only_after_a_question(walk):
    seen: list[bool] = []
    reduce = reducer.reduce

    def watched(state, event):
        after, commands = reduce(state, event)
        begins = any(isinstance(one, c.OpenModel | c.BeginRun | c.Relaunch) for one in commands)
        if isinstance(event, e.Restart | e.Load) and begins:
            seen.append(state.observed.replaceable or state.notice.text == reducer.LEAVES_FOR_GOOD)
        return after, commands

    with pytest.MonkeyPatch.context() as patch:
        unwritable(patch, "spool", "in_memory")
        patch.setattr(store, "reduce", watched)
        # a second key of the same kind is the answer to the question
        walk_through([one for place in walk for one in (place, place)], keeps=False)
    assert all(seen)
