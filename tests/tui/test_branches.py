"""Branches in the live view: started by a knob turned in the past, shown, and compared."""

from __future__ import annotations

import numpy as np
import pytest

from engine.debug.branches import first_difference
from engine.recording import Recording
from engine.records import Change, Settings
from remdm_tui.app import WatchApp
from remdm_tui.link.base import Died
from remdm_tui.link.replay import ReplayLink, replay_options
from remdm_tui.render.token_codes import DIFFERENT
from remdm_tui.watch.branches import describe_changes
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.run_recording import RunRecording
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, banner, settle, watching, written
from tests.waiting import seen


async def forked(pilot, at=10, steps=20):
    """Twenty steps, then back to the tenth, eta turned there, and ten steps on."""
    await settle(pilot)
    for _ in range(steps):
        await pilot.press("right")
    await settle(pilot)
    for _ in range(steps - at):
        await pilot.press("left")
    await pilot.press("E")
    await settle(pilot)


def tree(app):
    return str(app.main.branches.render()) if app.main.branches_box.display else ""


async def test_a_knob_turned_in_the_past_forks_and_keeps_what_was_recorded():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await forked(pilot)
        app = pilot.app
        main, branch = app.watching.recording.record(0), app.watching.recording.record(1)
        assert (len(main), len(branch), app.watching.player.position) == (20, 10, 10)
        await pilot.press("right", "right")
        await settle(pilot)
        assert (len(main), len(branch)) == (20, 12)
        assert branch.frame(11).settings.knobs["eta"] > main.frame(11).settings.knobs["eta"]
        assert np.array_equal(branch.frame(10).tokens, main.frame(10).tokens)
        assert "branch 1" in written(app.main.status)


async def test_a_second_notch_turns_the_new_branch_and_begins_no_other():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await forked(pilot)
        await pilot.press("E", "P")
        await settle(pilot)
        assert len(pilot.app.watching.recording.branches) == 2
        assert link.configured[-1] == pilot.app.watching.settings


async def test_the_tree_says_where_each_begins_and_what_is_different():
    async with watching().run_test(size=(120, 40)) as pilot:
        assert tree(pilot.app) == ""
        await forked(pilot)
        await pilot.press("right")
        await settle(pilot)
        eta = pilot.app.watching.settings.knobs["eta"]
        root, child = tree(pilot.app).splitlines()
        assert root.split() == ["0", "remdm-cap", "20"]
        assert child.split() == ["►", "└─1", "at", "10", f"eta={eta:.4g}", "11"]


async def test_branches_are_gone_to_and_come_back_to_with_their_own_settings():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await forked(pilot)
        other = pilot.app.watching.settings
        await pilot.press("right")
        await settle(pilot)
        await pilot.press("z")
        await settle(pilot)
        app = pilot.app
        assert (link.branch, app.watching.player.position, app.watching.settings) == (0, 11, CAP)
        await pilot.press("end", "right")
        await settle(pilot)
        assert len(app.watching.recording.record(0)) == 21
        await pilot.press("Z")
        await settle(pilot)
        assert (link.branch, app.watching.settings) == (1, other)


async def test_f_begins_a_branch_that_does_the_same():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right")
        await settle(pilot)
        await pilot.press("left", "f")
        await settle(pilot)
        assert (link.branch, len(link.trace), pilot.app.watching.settings) == (1, 1, CAP)


async def test_what_differs_is_marked_and_where_they_parted_is_one_key_away():
    async with watching(batch=2).run_test(size=(120, 40)) as pilot:
        await forked(pilot)
        app = pilot.app
        for _ in range(10):
            await pilot.press("right")
        await settle(pilot)
        await pilot.press("d")
        await settle(pilot)
        main, branch = app.watching.recording.record(0), app.watching.recording.record(1)
        codes = app.main.panes.active._coded(app.main.panes.active._canvas)
        shown = ~np.isin(app.watching.trace.change(20, 0), (Change.MASKED, Change.REMASKED))
        assert np.array_equal(codes >= DIFFERENT, (main.tokens(20, 0) != branch.tokens(20, 0)) & shown)
        assert (codes >= DIFFERENT).any()
        await pilot.press("D")
        await settle(pilot)
        found = first_difference(main.frame, branch.frame, 20)
        at = app.watching.debug.inspector.at
        assert (app.watching.player.position, at, app.watching.sample) == (found.step, found.position, found.sample)
        assert f"first differ at step {found.step}" in banner(app)
        await pilot.press("d")
        await settle(pilot)
        assert app.main.panes.active._canvas.different is None


async def test_with_one_branch_there_is_nothing_to_compare():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for key in ("z", "d", "D"):
            await pilot.press(key)
            await seen(pilot, lambda app: "Only one branch" in banner(app))


async def test_without_an_engine_branches_can_be_looked_at_and_R_goes_on_in_the_one_on_screen():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await forked(pilot)
        link.events.append(Died(1, "gone"))
        await seen(pilot, lambda app: "gone" in banner(app))
        await pilot.press("z", "left", "E")
        await settle(pilot)
        app = pilot.app
        assert (link.branch, len(link.trace), len(app.watching.recording.branches)) == (0, 20, 2)
        await pilot.press("R")
        await settle(pilot)
        await pilot.press("end", "right")
        await settle(pilot)
        assert (len(app.watching.recording.record(0)), len(app.watching.recording.record(1))) == (21, 10)


async def test_an_engine_that_does_not_know_a_branch_begins_with_its_record():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await forked(pilot)
        await pilot.press("R")
        await settle(pilot)
        assert link.branch == 1
        await pilot.press("z")
        await settle(pilot)
        assert (link.branch, pilot.app.watching.live, len(link.trace)) == (0, True, 20)


async def test_a_recordings_branches_are_switched_and_compared_without_an_engine(tmp_path):
    async with watching(record=tmp_path / "run").run_test(size=(120, 40)) as pilot:
        await forked(pilot)
        await pilot.press("right", "right")
        await settle(pilot)
    recording = Recording.open(tmp_path / "run")
    run_recording = RunRecording(recording=recording)
    app = WatchApp(replay_options(recording), lambda: ReplayLink(recording), recording=run_recording)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("z", "end")
        await settle(pilot)
        assert (app.watching.player.position, app.watching.debug.branches.current) == (12, 1)
        assert "eta=" in tree(app)
        await pilot.press("d")
        await settle(pilot)
        assert app.main.panes.active._canvas.different is not None
        for keys in (["f"], ["A"], ["v", "u"]):
            app.watching.notice = Notice()
            await pilot.press(*keys)
            only = "Replay only. Start with --model to continue the run"
            await settle(pilot, lambda app, only=only: app.watching.notice.text == only)
    recording.close()


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (None, CAP, "remdm-cap"),
        (CAP, CAP, ""),
        (CAP, Settings("mdlm", {}, top_p=0.5), "mdlm top_p=0.5"),
        (Settings("a", {"eta": 0.5}), Settings("a", {"eta": 0.25}), "eta=0.25"),
    ],
)
def test_a_difference_in_settings_is_reported_in_few_words(before, after, sentence):
    assert describe_changes(before, after) == sentence
