"""The command line at the bottom of the screen, as a person meets it."""

from __future__ import annotations

import pytest
from textual.events import Key
from textual.widgets import Label

from engine.records import Settings
from remdm_tui.screens.bottom_line import BottomLine, LineHistory
from remdm_tui.widgets.line_input import LineInput
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import banner, settle, text_of, watching
from tests.waiting import seen


def line(app):
    return app.screen.query_one(LineInput).value


def hint(app):
    return str(app.screen.query_one(".hint", Label).render())


def complaint(app):
    error = app.screen.query_one(".error", Label)
    return str(error.render()) if error.display else ""


async def typed(pilot, text, *keys):
    await pilot.press("colon")
    await seen(pilot, lambda app: isinstance(app.screen, BottomLine) and app.screen.query(LineInput))
    pilot.app.screen.query_one(LineInput).value = text
    await pilot.pause()
    await pilot.press(*keys)


async def closed(pilot):
    await seen(pilot, lambda app: app.screen is app.main)


async def stepped(pilot, steps=6):
    await settle(pilot)
    await pilot.press(*["right"] * steps)
    await settle(pilot)


async def test_a_step_is_gone_to_and_the_text_stays_visible_meanwhile():
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot)
        now = text_of(pilot.app)
        await typed(pilot, "2")
        box = pilot.app.screen.query_one("VerticalScroll")
        assert text_of(pilot.app) == now
        assert box.region.bottom == 30
        assert box.region.y > pilot.app.main.text.region.bottom - 1
        assert hint(pilot.app) == "go to a step, 0 to 6"
        await pilot.press("enter")
        await closed(pilot)
        assert pilot.app.watching.position == 2


async def test_what_is_no_command_keeps_the_line_and_says_why_until_it_is_changed():
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot)
        await typed(pilot, "etta .1", "enter")
        assert complaint(pilot.app) == "No command and no knob is called 'etta'. Perhaps eta?"
        assert line(pilot.app) == "etta .1"
        await pilot.press("backspace")
        await seen(pilot, lambda app: not complaint(app))
        await pilot.press("escape")
        await closed(pilot)


@pytest.mark.parametrize("panel", [(), ("4",)])
async def test_a_command_that_comes_at_once_is_not_torn_apart(panel):
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot)
        await pilot.press(*panel)
        # as from a paste without brackets, or over a slow line
        for key, character in (("colon", ":"), ("1", "1"), ("enter", "\r")):
            pilot.app.post_message(Key(key, character))
        await seen(pilot, lambda app: app.watching.position == 1)
        await closed(pilot)


async def test_the_key_of_strategies_names_the_line_that_lists_them():
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot)
        known = [info.name for info in pilot.app.watching.strategies]
        place = known.index(pilot.app.watching.settings.strategy) + 1
        await pilot.press("s")
        expected = f"{known[place]} from the next step on: {place + 1} of {len(known)}, :strategy lists all"
        await seen(pilot, lambda app: banner(app) == expected)


async def test_a_knob_and_a_strategy_reach_the_engine_and_are_reported():
    link = ScriptedLink()
    async with watching(link).run_test(size=(100, 30)) as pilot:
        await stepped(pilot)
        await typed(pilot, "eta .125", "enter")
        await seen(pilot, lambda app: banner(app) == "eta 0.125 from the next step on")
        await typed(pilot, "strategy mdlm", "enter")
        await closed(pilot)
        await pilot.press("right")
        await settle(pilot)
        assert any(settings.knobs.get("eta") == 0.125 for settings in link.configured)
        assert link.configured[-1].strategy == "mdlm"


async def test_a_breakpoint_is_set_and_reported():
    link = ScriptedLink()
    async with watching(link).run_test(size=(100, 30)) as pilot:
        await stepped(pilot)
        await typed(pilot, "break remasked >", "enter")
        assert complaint(pilot.app)
        pilot.app.screen.query_one(LineInput).value = "break remasked > 4"
        await pilot.press("enter")
        await seen(pilot, lambda app: banner(app) == "Stops at: remasked > 4")
        assert link.breakpoints == {1: "remasked > 4"}


async def test_the_recording_is_kept_and_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot)
        await typed(pilot, "w mine", "enter")
        await seen(pilot, lambda app: banner(app) == "Recording to mine.remdm")
        await typed(pilot, "export mine.svg", "enter")
        await seen(pilot, lambda app: banner(app).startswith("Exported mine.svg"))
        await typed(pilot, "export mine.svg", "enter")
        assert complaint(pilot.app) == "mine.svg exists already. Choose another name"
    assert {path.name for path in tmp_path.iterdir()} == {"mine.remdm", "mine.svg"}


async def test_q_ends_the_session():
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot, 1)
        await typed(pilot, "q", "enter")
        await seen(pilot, lambda app: app.ending)


async def test_nothing_typed_is_nothing_done():
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot, 1)
        await typed(pilot, " ", "enter")
        await closed(pilot)
        assert banner(pilot.app) == ""


async def test_tab_completes_as_far_as_it_is_certain_and_then_goes_round():
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot, 1)
        await typed(pilot, "str", "tab")
        assert line(pilot.app) == "strategy "
        await pilot.press("r", "e", "m", "d", "tab")
        assert line(pilot.app) == "strategy remdm-"
        names = hint(pilot.app).split()
        assert {"remdm-cap", "remdm-loop"} <= set(names)
        for name in [*names, names[0]]:
            await pilot.press("tab")
            assert line(pilot.app) == f"strategy {name}"
        await pilot.press("shift+tab")
        assert line(pilot.app) == f"strategy {names[-1]}"
        pilot.app.screen.query_one(LineInput).value = "zzz"
        await pilot.pause()
        await pilot.press("tab")
        assert hint(pilot.app) == "Nothing completes this"
        assert line(pilot.app) == "zzz"


async def test_up_and_down_go_through_what_was_typed_before():
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot)
        await typed(pilot, "", "up")
        assert hint(pilot.app) == "No earlier line"
        await pilot.press("escape")
        await closed(pilot)
        for text in ("1", "2", "1"):
            await typed(pilot, text, "enter")
            await closed(pilot)
        await typed(pilot, "ex", "up")
        assert line(pilot.app) == "1"
        await pilot.press("up", "up", "up")
        assert line(pilot.app) == "2"
        await pilot.press("down", "down", "down")
        assert line(pilot.app) == "ex"


def test_a_history_keeps_each_line_once_and_the_newest_hundred():
    history = LineHistory()
    for number in range(150):
        history.add(str(number))
    history.add("140")
    assert history.lines[0] == "50"
    assert history.lines[-1] == "140"
    assert len(history.lines) == 100


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (30, 8)])
async def test_the_line_fits_every_terminal(size):
    async with watching().run_test(size=size) as pilot:
        await stepped(pilot, 1)
        await typed(pilot, "e" * 60, "enter")
        await pilot.pause()
        box = pilot.app.screen.query_one("VerticalScroll").region
        assert (box.x, box.right, box.bottom) == (0, *size)
        assert complaint(pilot.app)


async def test_an_ascii_terminal_gets_ascii():
    async with watching(ascii=True).run_test(size=(80, 24)) as pilot:
        await stepped(pilot, 1)
        await typed(pilot, "strategy ", "tab", "tab")
        assert hint(pilot.app).isascii()


async def test_without_an_engine_that_goes_on_a_knob_is_refused(monkeypatch):
    async with watching().run_test(size=(100, 30)) as pilot:
        await stepped(pilot, 2)
        monkeypatch.setattr(type(pilot.app.watching.recording), "writable", property(lambda _: False))
        before: Settings = pilot.app.watching.settings
        await typed(pilot, "eta .5", "enter")
        assert complaint(pilot.app) == "Replay only. Start with --model to continue the run"
        assert pilot.app.watching.settings == before
