"""Branches side by side: started together, on one clock, each with its own strategy, and each recorded."""

from __future__ import annotations

import numpy as np
import pytest

from engine import wire
from engine.debug.findings import Hit
from engine.recording import Recording
from engine.records import Change, Settings
from engine.strategies import catalogue, make_strategy, values
from remdm_tui.app import WatchApp
from remdm_tui.cli.debug_arguments import with_panes
from remdm_tui.link.base import Died
from remdm_tui.link.replay import ReplayLink, replay_options
from remdm_tui.render.token_codes import DIFFERENT
from remdm_tui.screens.compare import CompareScreen
from remdm_tui.settings.pane_spec import pane_settings, titled
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.widgets.curves import letter_cells
from remdm_tui.widgets.panes import arrange
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, Clock, banner, settle, watching, written
from tests.waiting import seen

MDLM = Settings("mdlm", {})
STRONG = Settings("remdm-cap", values(make_strategy("remdm-cap", eta=0.04)))


def comparing(link=None, *others, **options):
    return watching(link, compare=others or (MDLM,), **options)


def lengths(app):
    return [len(pane.record) for pane in app.watching.debug.panes.panes]


def titles(app):
    return [str(pane.border_title) for pane in app.main.panes._panes if pane.display]


def codes(app, number):
    grid = app.main.panes.grids[number]
    return grid._coded(grid._canvas)


async def stepped(pilot, count):
    await settle(pilot)
    await pilot.press(*["right"] * count)
    await settle(pilot)


# -- one clock


async def test_all_panes_take_a_step_with_a_step_and_are_seeked_together():
    async with comparing(None, MDLM, STRONG).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 5)
        app = pilot.app
        assert (lengths(app), app.watching.player.position, app.watching.recorded) == ([5] * 3, 5, 5)
        await pilot.press("left", "left")
        await settle(pilot)
        for pane, grid in zip(app.watching.debug.panes.panes, app.main.panes.grids, strict=False):
            assert np.array_equal(grid._canvas.tokens, pane.record.tokens(3, 0))


async def test_ten_steps_at_once_are_ten_of_each():
    async with comparing().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 10)
        await settle(pilot)
        assert (lengths(pilot.app), pilot.app.watching.player.position) == ([10, 10], 10)


async def test_playing_goes_to_the_end_of_all():
    async with comparing(None, MDLM, STRONG, CAP).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        await settle(pilot)
        assert lengths(pilot.app) == [32] * 4
        assert not any("░" in grid.render_line(y).text for grid in pilot.app.main.panes.grids for y in range(15))


async def test_the_same_knobs_give_the_same_text_to_the_letter():
    async with comparing(None, CAP).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 20)
        one, other = (pane.record for pane in pilot.app.watching.debug.panes.panes)
        assert all(np.array_equal(one.tokens(i, 0), other.tokens(i, 0)) for i in range(21))


async def test_a_pane_that_has_ended_stays_at_its_end_while_the_other_goes_on():
    link = ScriptedLink()
    async with comparing(link).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 3)
        app = pilot.app
        link._over.add(1)
        link.events.append(wire.Finished(1, 1))
        await stepped(pilot, 2)
        assert (lengths(app), app.watching.player.position) == ([5, 3], 5)
        await seen(pilot, lambda app: "ended at 3" in str(app.main.panes._panes[1].border_subtitle))
        assert np.array_equal(app.main.panes.grids[1]._canvas.tokens, link._records[1].tokens(3, 0))
        # looked at, it has nothing beyond its end
        await pilot.press("tab", "v", "right_square_bracket", "y", "o")
        await settle(pilot)
        assert app.watching.position == 3


async def test_a_pause_between_the_steps_of_two_panes_is_evened_out():
    link = ScriptedLink()
    async with comparing(link, clock=Clock()).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 4)
        link.demand(1, renew=False)
        await settle(pilot)
        await pilot.press(*["less_than_sign"] * 7, "space")
        await seen(pilot, lambda app: app.watching.player.playing)
        await pilot.press("space")
        await seen(pilot, lambda app: lengths(app) == [5, 5] and app.watching.player.position == 5)


async def test_a_breakpoint_in_any_pane_stops_all_and_says_which():
    link = ScriptedLink()
    async with comparing(link).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 4)
        link.demand(1, renew=False)
        link.events.append(wire.Stopped(1, 0, 1, (Hit(1, "step 5", "step 5", 5, (0,), ()),)))
        await seen(pilot, lambda app: "stopped at step 5 in pane A: " in banner(app))
        await settle(pilot)
        assert (lengths(pilot.app), pilot.app.watching.player.position) == ([5, 5], 5)


async def test_a_recorded_step_of_another_pane_that_hits_a_breakpoint_stops_the_clock():
    async with comparing(None, MDLM, breakpoints=("remasked > 0",)).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 20)
        await pilot.press("tab", "home", "less_than_sign", "space")
        await seen(pilot, lambda app: "in pane A" in banner(app))
        assert not pilot.app.watching.player.playing


# -- the pane that has the focus


async def test_a_knob_turns_in_the_pane_that_has_the_focus_alone():
    link = ScriptedLink()
    async with comparing(link, STRONG).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 2)
        await pilot.press("tab", "P")
        await stepped(pilot, 1)
        one, other = (pane.record.frame(3).settings for pane in pilot.app.watching.debug.panes.panes)
        assert (one.top_p, other.knobs["eta"]) == (CAP.top_p, 0.04)
        assert other.top_p > CAP.top_p
        assert "top_p=" in titles(pilot.app)[1]
        assert [title[0] for title in titles(pilot.app)] == [" ", "►"]


async def test_a_knob_turned_in_the_past_puts_a_branch_in_the_panes_place():
    async with comparing().run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 6)
        await pilot.press("left", "left", "E")
        await settle(pilot)
        app = pilot.app
        assert [pane.branch for pane in app.watching.debug.panes.panes] == [2, 1]
        assert (lengths(app), app.watching.player.position) == ([4, 6], 4)
        await stepped(pilot, 3)
        assert lengths(app) == [7, 7]
        await pilot.press("z")
        await settle(pilot)
        assert [pane.branch for pane in app.watching.debug.panes.panes] == [0, 1]


async def test_a_click_gives_a_pane_the_focus_and_looks_at_the_position():
    async with comparing().run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 6)
        await pilot.click(pilot.app.main.panes.grids[1], offset=(6, 0))
        await settle(pilot)
        app = pilot.app
        assert (app.watching.link.branch, app.watching.debug.inspector.at) == (1, 1)
        assert [grid._cursor for grid in app.main.panes.grids[:2]] == [None, 1]


async def test_an_edit_is_a_step_of_the_clock():
    link = ScriptedLink()
    async with comparing(link).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 6)
        await pilot.press("tab", "v", "K")
        await settle(pilot)
        app = pilot.app
        assert (lengths(app), app.watching.player.position) == ([7, 7], 7)
        assert [pane.record.edits() for pane in app.watching.debug.panes.panes] == [[], [7]]


async def test_what_differs_from_the_pane_that_has_the_focus_is_marked_in_the_others():
    async with comparing(None, MDLM, STRONG).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 24)
        await pilot.press("tab", "d")
        await settle(pilot)
        records = [pane.record for pane in pilot.app.watching.debug.panes.panes]
        for number in (0, 2):
            marked = codes(pilot.app, number) >= DIFFERENT
            differs = records[number].tokens(24, 0) != records[1].tokens(24, 0)
            shown = ~np.isin(records[number].change(24, 0), (Change.MASKED, Change.REMASKED))
            assert np.array_equal(marked, differs & shown)
        assert (codes(pilot.app, 0) >= DIFFERENT).any()


# -- coming and going


async def test_c_with_one_branch_asks_for_a_strategy_and_begins_it_at_the_start():
    async with watching().run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 8)
        await pilot.press("c")
        await pilot.pause()
        assert isinstance(pilot.app.screen, CompareScreen)
        await pilot.press(*"nemo", "enter")
        await pilot.pause()
        assert "unknown strategy 'nemo'" in str(pilot.app.screen.query_one(".error").render())
        await pilot.press("ctrl+u", *"mdlm:top_p=.5", "enter")
        await settle(pilot)
        app = pilot.app
        assert (lengths(app), app.watching.player.position) == ([8, 0], 0)
        await stepped(pilot, 2)
        assert (lengths(app), app.watching.player.position) == ([8, 2], 2)
        assert app.watching.recording.record(1).frame(2).settings == Settings("mdlm", {}, top_p=0.5)
        await pilot.press("c")
        await settle(pilot)
        assert (app.watching.recorded, app.watching.link.panes, app.main.panes.active is app.main.panes.grids[0]) == (
            8,
            (),
            True,
        )
        await pilot.press("c")
        await settle(pilot)
        assert lengths(app) == [8, 2]


async def test_another_pane_is_added_up_to_four():
    async with comparing(None, MDLM, STRONG).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 3)
        await pilot.press("A", *"mdlm", "enter")
        await settle(pilot)
        assert lengths(pilot.app) == [3, 3, 3, 0]
        await pilot.press("A", *"mdlm", "enter")
        await pilot.pause()
        assert "All 4 panes are in use" in str(pilot.app.screen.query_one(".error").render())


async def test_the_same_seed_again_and_the_next_begin_all_panes_with_their_strategies():
    link = ScriptedLink()
    async with comparing(link).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 3)
        before = pilot.app.watching.recording.record(1).tokens(3, 0)
        await pilot.press("tab", "r")
        await settle(pilot, lambda app: lengths(app) == [0, 0])
        app = pilot.app
        await stepped(pilot, 3)
        settings = [pane.record.frame(3).settings for pane in app.watching.debug.panes.panes]
        assert (settings, link.branch) == ([CAP, MDLM], 1)
        assert np.array_equal(app.watching.recording.record(1).tokens(3, 0), before)
        await pilot.press("n")
        await settle(pilot, lambda app: lengths(app) == [0, 0])
        assert (link.seeds, len(app.watching.recording.branches)) == ([0, 0, 1], 2)


async def test_a_pane_that_the_engine_refuses_is_left_out_and_reported():
    class Refusing(ScriptedLink):
        def fork(self, branch, record, settings=None):
            if settings.strategy == "mdlm":
                self._records[branch.id] = record
                self.events.append(wire.Rejected("no mdlm here", "Fork"))
            else:
                super().fork(branch, record, settings)

    async with comparing(Refusing(), MDLM, STRONG).run_test(size=(120, 40)) as pilot:
        await seen(pilot, lambda app: "no mdlm here" in banner(app))
        await settle(pilot)
        assert [pane.branch for pane in pilot.app.watching.debug.panes.panes] == [0, 2]


async def test_a_dead_engine_leaves_the_panes_readable_and_R_goes_on_with_all():
    link = ScriptedLink()
    async with comparing(link).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 6)
        link.events.append(Died(1, "gone"))
        await seen(pilot, lambda app: "gone" in banner(app))
        await pilot.press("left", "tab", "left")
        await settle(pilot)
        app = pilot.app
        assert (app.watching.player.position, lengths(app)) == (4, [6, 6])
        await pilot.press("R")
        await seen(pilot, lambda app: app.watching.live)
        await settle(pilot)
        assert (app.watching.live, link.recalled, link.branch, link.panes) == (True, [(0, 6)], 1, (0, 1))
        await pilot.press("end")
        await stepped(pilot, 2)
        assert lengths(app) == [8, 8]


async def test_panes_are_recorded_as_branches_and_a_recording_is_compared_without_an_engine(tmp_path):
    async with comparing(None, MDLM, STRONG, record=tmp_path / "run").run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 6)
    recording = Recording.open(tmp_path / "run")
    assert [branch.at for branch in recording.branches] == [0, 0, 0]
    app = WatchApp(
        replay_options(recording),
        lambda: ReplayLink(recording, 0, catalogue()),
        recording=RunRecording(recording=recording),
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("c", "end")
        await settle(pilot)
        assert (lengths(app), app.watching.player.position) == ([6, 6, 6], 6)
        assert [title.split()[-1] for title in titles(app)] == ["remdm-cap", "mdlm", "eta=0.04"]
        await pilot.press("tab", "R")
        await seen(pilot, lambda app: app.watching.live and app.watching.link.branch == 1)
        # the scripted engine remasks under mdlm too: what the laws say of it would replace the answer to the key
        await seen(pilot, lambda app: "never remasks" in banner(app))
        await pilot.press("A")
        await seen(pilot, lambda app: "Replay only" in banner(app))
    recording.close()


async def test_on_a_small_terminal_fewer_panes_are_shown_and_tab_goes_to_the_others():
    async with comparing(None, MDLM, STRONG).run_test(size=(80, 24)) as pilot:
        await stepped(pilot, 2)
        assert len(titles(pilot.app)) == 2
        # whatever the message row says
        assert "pane A of 3" in written(pilot.app.main.status)
        await pilot.press("tab", "tab")
        await seen(pilot, lambda app: "2 of 3 panes fit here" in banner(app))
        assert [title[:3] for title in titles(pilot.app)] == [" B ", "►C "]


@pytest.mark.parametrize(
    ("count", "focus", "size", "shown", "columns"),
    [
        (2, 0, (82, 36), range(2), 2),
        (4, 3, (82, 36), range(4), 2),
        (3, 0, (144, 56), range(3), 3),
        (4, 0, (144, 56), range(4), 2),
        (4, 2, (80, 20), range(1, 3), 2),
        (4, 3, (40, 50), range(4), 1),
        (2, 1, (20, 5), range(1, 2), 1),
    ],
)
def test_as_many_panes_are_shown_as_there_is_room_for(count, focus, size, shown, columns):
    found = arrange(count, focus, *size)
    assert (found.shown, found.columns) == (shown, columns)


# -- messages and pictures


def test_a_pane_is_a_strategy_with_its_knobs_and_what_all_share():
    base = Settings("mdlm", {}, top_p=0.8)
    made = pane_settings("remdm-cap:eta=.04,temperature=.5", base, catalogue())
    assert (made.knobs["eta"], made.top_p, made.temperature) == (0.04, 0.8, 0.5)
    assert titled(made, catalogue()) == "remdm-cap eta=0.04 top_p=0.8 temperature=0.5"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nemo", "unknown strategy 'nemo': choose one of mdlm, remdm-cap"),
        ("mdlm:eta=.1", "mdlm has no knob 'eta': choose one of top_p, temperature"),
        ("remdm-cap:eta=2", "eta must lie in 0 to 1, not 2"),
        ("remdm-cap:eta", "a knob is given as name=value, not as 'eta'"),
        ("remdm-cap:", "a knob is given as name=value, not as ''"),
        ("remdm-cap:eta=.1,eta=.2", "the knob eta is given twice"),
        ("", "unknown strategy ''"),
    ],
)
def test_a_pane_that_cannot_be_is_reported_in_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        pane_settings(text, CAP, catalogue())


@pytest.mark.parametrize(
    ("strategy", "texts", "panes"),
    [
        (None, ["mdlm"], ["remdm-cap", "mdlm"]),
        (None, ["mdlm", "dfm"], ["mdlm", "dfm"]),
        ("remdm-loop", ["mdlm", "dfm"], ["remdm-loop", "mdlm", "dfm"]),
    ],
)
def test_the_runs_own_strategy_is_a_pane_beside_one_other_or_where_it_was_requested(strategy, texts, panes):
    arguments = RunArguments(strategy=strategy)
    options = with_panes(arguments.options(), texts, arguments)
    assert [one.strategy for one in (options.settings, *options.compare)] == panes


def test_five_panes_are_too_many():
    arguments = RunArguments(strategy="mdlm")
    with pytest.raises(ValueError, match="4 panes are shown at most, not 5"):
        with_panes(arguments.options(), ["mdlm"] * 4, arguments)


def test_curves_that_coincide_show_the_letters_of_all():
    line = np.zeros((3, 40), bool)
    line[1] = True
    marked = letter_cells([line, line, line])
    assert all(where.any() for where in marked)
    assert not np.logical_and(marked[0], marked[1]).any()
