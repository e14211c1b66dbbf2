"""Breakpoints, broken laws and a strategy's file, as a person meets them."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from textual.widgets import OptionList

from engine import wire
from engine.debug.findings import Hit, Violation
from engine.records import Change, KnobInfo, StrategyInfo
from engine.strategies import catalogue
from remdm_tui.cli.debug_arguments import debug_options
from remdm_tui.screens.breakpoints import BreakpointScreen
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.watch.breakpoints import Breakpoints, Conditions, describe_hits, position_of
from remdm_tui.watch.findings import suspect
from remdm_tui.watch.notices import THIS_RUN, Notice
from tests.engine.recordings import recorded
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import banner, settle, watching, written
from tests.waiting import seen

OWN = StrategyInfo("own", "", "", "time", (KnobInfo("eta", 0.1, "", 0, 1),))
BROKEN = Violation("marginal", 3, "E[masked] / n = 1 - alpha_s", "0.5 of 64 positions are masked", (("masked", 0.5),))


def law(app):
    return banner(app)


def failure(app):
    return str(app.main.text.failure.render()) if app.main.text.failure.display else ""


async def test_the_view_is_at_the_frame_that_was_hit_and_names_the_condition():
    link = ScriptedLink()
    async with watching(link, breakpoints=("remasked > 0",)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert link.breakpoints == {1: "remasked > 0"}
        await pilot.press(*["right"] * 4)
        await settle(pilot)
        hit = Hit(1, "remasked > 0", "remasked > 0 is true", 4, (0,))
        link.events.append(wire.Stopped(1, 0, 1, (hit,)))
        await pilot.press("space")
        await seen(pilot, lambda app: banner(app) == "■ stopped at step 4: remasked > 0")
        assert not pilot.app.watching.player.playing
        await pilot.press("right")
        await seen(pilot, lambda app: banner(app).strip() == "")


async def test_recorded_steps_are_stopped_at_too():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        pilot.app.watching.debug.add_breakpoint("step 9")
        await pilot.press("home", "space")
        await seen(pilot, lambda app: "stopped at step 9" in banner(app))
        assert pilot.app.watching.player.position == 9


def test_the_first_of_the_passed_steps_counts_and_what_is_off_does_not(tmp_path):
    trace = recorded(tmp_path / "run", steps=40)
    stops, conditions = Breakpoints.of(("step 9", "step 7", "step 30")), Conditions()
    assert [(hit.breakpoint, hit.step) for hit in conditions.hit(stops, trace, 3, 12)] == [(2, 7)]
    stops = stops.toggle(2)
    assert [stop.on for stop in stops.listed] == [True, False, True]
    assert [hit.breakpoint for hit in conditions.hit(stops, trace, 3, 12)] == [1]
    assert conditions.hit(stops, trace, 9, 12) == ()
    assert [stop.number for stop in stops.remove(3).add("step 2").listed] == [1, 2, 4]


def test_a_sentence_names_positions_and_sample_but_not_hundreds():
    hit = Hit(1, "remasks 8", "a step remasks more than 8 positions", 5, (1,), tuple(range(20)))
    sentence = describe_hits([hit, msgspec.structs.replace(hit, text="clamped")], batch=2, ascii_only=True)
    assert sentence == (
        "[] stopped at step 5, sample 2: remasks 8 (a step remasks more than 8 positions), "
        "positions 0, 1, 2, 3 and 16 more; clamped"
    )


async def test_breakpoints_are_typed_switched_and_removed_on_a_screen():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("x")
        await pilot.pause()
        screen = pilot.app.screen
        assert isinstance(screen, BreakpointScreen)
        await pilot.press(*"masked <", "enter")
        assert "cannot be read" in str(screen.query_one(".error").render())
        await pilot.press("ctrl+u", *"step 5", "enter", *"clamped", "enter")
        await pilot.pause()
        assert link.breakpoints == {1: "step 5", 2: "clamped"}
        assert screen.query_one(OptionList).size.height == 2
        await pilot.press("up", "enter")
        assert link.breakpoints == {2: "clamped"}
        await pilot.press("down", "delete")
        assert link.breakpoints == {}
        await pilot.press("escape")
        assert [stop.text for stop in pilot.app.watching.debug.breakpoints.listed] == ["step 5"]


async def test_a_new_engine_gets_the_breakpoints_and_the_file_again():
    link = ScriptedLink()
    async with watching(link, breakpoints=("step 5", "clamped"), strategy_file="own.py").run_test() as pilot:
        await settle(pilot)
        pilot.app.watching.debug.toggle_breakpoint(1)
        link.breakpoints, link.file = {}, ""
        await pilot.press("R")
        await settle(pilot)
        assert (link.breakpoints, link.file) == ({2: "clamped"}, "own.py")


async def test_a_broken_law_is_a_red_line_with_its_formula_until_the_next_run():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        link.events.append(wire.Broken(1, 0, BROKEN))
        await seen(pilot, lambda app: "✗ marginal at step 3: E[masked] / n = 1 - alpha_s - 0.5 of 64" in law(app))
        await pilot.press("r")
        await seen(pilot, lambda app: law(app) == "")


def violation(law, step, **numbers):
    return Violation(law, step, "a formula", "too much", tuple(numbers.items()))


async def test_a_broken_law_stops_a_run_that_plays_once_and_selects_the_token():
    link = ScriptedLink()
    async with watching(link, batch=2).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        session, steps = pilot.app.watching, iter((4, 6))
        demand = link.demand

        def breaking(wanted, renew, recorded=None):
            done = demand(wanted, renew, recorded)
            if len(link.trace) in (4, 6):
                link.events.append(wire.Broken(1, 0, violation("remasks", len(link.trace))))
            return done

        link.demand = breaking
        session.player = replace(session.player, speed=50)
        await pilot.press("space")
        await seen(pilot, lambda app: "remasks at step" in law(app))
        assert not session.player.playing
        assert session.position == next(steps)
        at = session.debug.inspector.at
        assert link.trace.change(4, session.sample)[at] == Change.REMASKED
        await seen(pilot, lambda app: app.main.text.inspector.display)
        # once in a run: later steps that break it are reported, and the run plays on
        await pilot.press("space")
        await seen(pilot, lambda app: session.player.done)
        assert {one.step for found in session.debug.findings.found.values() for one in found} == {4, 6}


async def test_a_law_that_breaks_while_the_view_is_elsewhere_moves_nothing():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 4)
        await settle(pilot)
        await pilot.press("left", "left")
        await settle(pilot)
        link.events.append(wire.Broken(1, 0, violation("remasks", 4)))
        await seen(pilot, lambda app: "remasks at step 4" in law(app))
        session = pilot.app.watching
        assert (session.position, session.debug.inspector.at) == (2, None)


def test_a_law_is_about_the_tokens_that_its_formula_names(tmp_path):
    trace = recorded(tmp_path / "run", steps=40)
    frame = trace.frame(30)
    remask = frame.remask.copy()
    revealed = np.flatnonzero(np.isin(frame.change[1], (Change.HELD, Change.REMASKED)))
    remask[1, revealed[2]] = 0.9
    frame = replace(frame, remask=remask)
    assert suspect(violation("sigma", 30, sigma_max=0.8), frame, 0) == (1, int(revealed[2]))
    assert suspect(violation("range", 30), replace(frame, remask=np.ones_like(remask)), 1) == (1, int(revealed[0]))
    assert suspect(violation("marginal", 30), frame, 0) is None
    assert suspect(violation("calls", 30), frame, 0) is None
    step = next(s for s in range(1, 41) if (trace.change(s, 0) == Change.REVEALED).any())
    at = int(np.flatnonzero(trace.change(step, 0) == Change.REVEALED)[0])
    assert suspect(violation("reveals", step), trace.frame(step), 0) == (0, at)


async def test_active_breakpoints_stand_in_the_header():
    async with watching(breakpoints=("remasked > 4",)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await seen(pilot, lambda app: "■ remasked > 4" in written(app.main.status))
        pilot.app.watching.debug.toggle_breakpoint(1)
        pilot.app.controls.wake()
        await seen(pilot, lambda app: "■ remasked" not in written(app.main.status))


def with_file(strategy=OWN):
    link = ScriptedLink()
    link.use_file = lambda path: link.events.append(wire.FileLoaded(path, "0" * 64, strategy))
    return link


async def test_a_strategy_of_a_file_is_the_runs_with_the_knobs_that_were_given():
    app = watching(with_file(), strategy_file="own.py", file_knobs=(("eta", 0.25),))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right")
        await settle(pilot)
        settings = app.watching.trace.frame(1).settings
        assert (settings.strategy, dict(settings.knobs)) == ("own", {"eta": 0.25})
        assert app.watching.strategies == (*catalogue(), OWN)


async def test_a_file_that_has_no_such_knob_ends_with_a_sentence():
    app = watching(with_file(), strategy_file="own.py", file_knobs=(("zeta", 0.25),))
    async with app.run_test() as pilot:
        await seen(pilot, lambda app: app.watching.state.over)
    assert app.watching.failure == "own has no knob 'zeta'"


async def test_a_strategy_that_fails_shows_its_traceback_and_the_step_until_the_file_is_saved():
    link = with_file()
    async with watching(link, strategy_file="own.py").run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "space")
        link.events.append(wire.StrategyFailed(1, 0, 1, 2, "ValueError: no", "File own.py, line 3\n\x1b[31m"))
        await seen(pilot, lambda app: "line 3" in failure(app))
        assert "failed at step 2" in str(pilot.app.main.text.failure.border_title)
        assert "\x1b" not in failure(pilot.app)
        fixed = replace(OWN, knobs=(KnobInfo("zeta", 0.5, "", 0, 1),))
        link.events.append(wire.FileLoaded("own.py", "1" * 64, fixed))
        await seen(pilot, lambda app: failure(app) == "" and "Reloaded own.py" in banner(app))
        assert dict(pilot.app.watching.settings.knobs) == {"zeta": 0.5}


async def test_what_a_saved_file_got_wrong_leaves_the_run_playing():
    link = with_file()
    async with watching(link, strategy_file="own.py", paused=False, steps=10_000).run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda app: app.watching.has_record)
        link.events.append(wire.StrategyFailed(1, 0, 1, -1, "SyntaxError: line 2", ""))
        await seen(pilot, lambda app: "SyntaxError" in failure(app))
        assert pilot.app.watching.player.playing


async def test_strategies_of_packages_that_cannot_be_had_are_reported():
    link = ScriptedLink()
    link.start = lambda: link.events.append(wire.Hello(catalogue(), ("the strategy a.b cannot be used",)))
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert pilot.app.watching.notice == Notice("the strategy a.b cannot be used", "failure", THIS_RUN)


def test_what_the_command_line_says_is_checked(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        debug_options(RunArguments(), ["masked <"], None, is_remote=False)
    with pytest.raises(ValueError, match="does not exist"):
        debug_options(RunArguments(), [], str(tmp_path / "none.py"), is_remote=False)
    arguments, more = debug_options(RunArguments(eta=0.2, knob=("a=b",)), ["step 3"], "there.py", is_remote=True)
    assert arguments == RunArguments()
    assert more == {"breakpoints": ("step 3",), "strategy_file": "there.py", "file_knobs": (("a", "b"), ("eta", 0.2))}


async def test_the_token_that_a_breakpoint_stopped_for_is_selected_with_its_story():
    link = ScriptedLink()
    async with watching(link, batch=2).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 8)
        await settle(pilot)
        step = next(s for s in range(1, 9) if (link.trace.change(s, 1) == Change.REMASKED).any())
        position = int(np.flatnonzero(link.trace.change(step, 1) == Change.REMASKED)[0])
        hit = Hit(1, "remasks 0", "a step remasks more than 0 positions", step, (1,), (position,))
        link.events.append(wire.Stopped(1, 0, 1, (hit,)))
        await pilot.press("space")
        await seen(pilot, lambda app: app.watching.debug.inspector.at == position)
        session = pilot.app.watching
        assert (session.position, session.sample) == (step, 1)
        await seen(pilot, lambda app: "remasked" in str(app.main.text.inspector.render()))
        grid = pilot.app.main.panes.active
        await seen(pilot, lambda _: any(s.style.reverse for y in range(grid.size.height) for s in grid.render_line(y)))


async def test_a_breakpoint_on_a_recorded_step_selects_too():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        pilot.app.watching.debug.add_breakpoint("remasked > 0")
        await pilot.press("home", "space")
        await seen(pilot, lambda app: "stopped at step" in banner(app))
        session = pilot.app.watching
        assert link.trace.change(session.position, 0)[session.debug.inspector.at] == Change.REMASKED


def test_a_hit_is_about_the_positions_it_names_or_counts(tmp_path):
    trace = recorded(tmp_path / "run", steps=40)
    step = next(s for s in range(1, 41) if (trace.change(s, 0) == Change.REVEALED).any())
    frame = trace.frame(step)
    revealed = int(np.flatnonzero(frame.change[0] == Change.REVEALED)[0])

    def at(text, positions=()):
        return position_of(Hit(1, text, "", step, (0,), positions), frame, 0)

    assert at("at 7", (7,)) == 7
    assert at("revealed > 0 and t < .9") == revealed
    assert at("count(change == REVEALED) > 0") == revealed
    assert at("step 9") is None
    assert at("masked 12") is None
