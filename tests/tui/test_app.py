import signal

import numpy as np
import pytest
from textual.geometry import Offset

from engine import wire
from engine.records import Change, Settings
from engine.strategies import make_strategy, values
from remdm_tui.app import WatchApp
from remdm_tui.link import Died
from remdm_tui.options import WatchOptions
from remdm_tui.screens.help import HelpScreen
from remdm_tui.widgets.knob_panel import KnobPanel
from remdm_tui.widgets.timeline import Timeline
from remdm_tui.widgets.token_grid import TokenGrid
from tests.tui.scripted import MASK, ScriptedLink

CAP = Settings("remdm-cap", values(make_strategy("remdm-cap")))


def watching(link=None, **options):
    made = link or ScriptedLink()
    defaults = {"steps": 32, "length": 64, "paused": True}
    return WatchApp(WatchOptions(CAP, **(defaults | options)), lambda: made)


async def settle(pilot, until=None):
    """Wait until the application has caught up with its engine, or a condition holds."""
    for _ in range(200):
        await pilot.pause(0.02)
        app = pilot.app
        if app.watching.begun and (app._resting if until is None else until(app)):
            return
    raise AssertionError("the application never settled")


def text_of(app):
    grid = app.query_one(TokenGrid)
    return "\n".join(grid.render_line(y).text for y in range(grid.size.height))


async def test_a_run_starts_all_masked():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert text_of(pilot.app).count("░░░") == 64


async def test_space_plays_to_the_end_and_no_mask_is_left():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        await settle(pilot)
        assert "░" not in text_of(pilot.app)
        assert "sea" in text_of(pilot.app) or "the" in text_of(pilot.app)


async def test_one_step_forward_is_one_frame():
    link = ScriptedLink()
    async with watching(link).run_test() as pilot:
        await settle(pilot)
        await pilot.press("right", "l")
        await settle(pilot)
        assert len(link.trace) == 2
        assert pilot.app.watching.player.position == 2


async def test_back_shows_the_earlier_step_and_keeps_the_record():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for _ in range(5):
            await pilot.press("right")
            await settle(pilot)
        now = text_of(pilot.app)
        await pilot.press("left", "left", "home")
        await settle(pilot)
        assert text_of(pilot.app).count("░░░") == 64
        await pilot.press("end")
        await settle(pilot)
        assert text_of(pilot.app) == now
        assert len(link.trace) == 5


async def test_every_state_is_drawn_with_its_own_cue():
    link = ScriptedLink()
    async with watching(link, length=256, steps=64).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        changes = [link.trace.change(i, 0) for i in range(1, 65)]
        position = 1 + next(i for i, c in enumerate(changes) if {0, 1, 2, 3} <= set(c.tolist()))
        pilot.app._play(pilot.app.watching.player.__class__(position=position, recorded=64, playing=False, ended=True))
        await settle(pilot)
        shown = text_of(pilot.app)
        assert "░" in shown
        assert "╳" in shown
        grid = pilot.app.query_one(TokenGrid)
        segments = [s for y in range(grid.size.height) for s in grid.render_line(y)]
        assert any(s.style.bold and s.style.underline for s in segments)


@pytest.mark.parametrize(
    ("key", "field", "direction"), [("E", "eta", 1), ("e", "eta", -1), ("P", "top_p", 1), ("t", "temperature", -1)]
)
async def test_a_knob_turned_by_key_reaches_the_engine(key, field, direction):
    link = ScriptedLink()
    async with watching(link).run_test() as pilot:
        await settle(pilot)
        await pilot.press(key)
        await settle(pilot)
        before, after = ((s.knobs | vars(s))[field] for s in (CAP, link.configured[-1]))
        assert (after - before) * direction > 0


async def test_strategy_switches_in_flight_and_keeps_eta():
    link = ScriptedLink()
    async with watching(link).run_test() as pilot:
        await settle(pilot)
        await pilot.press("right", "s")
        await settle(pilot)
        await pilot.press("right")
        await settle(pilot)
        first, second = (link.trace.frame(i).settings for i in (1, 2))
        assert first.strategy == "remdm-cap"
        assert second.strategy == "remdm-rescale"
        assert second.knobs["eta"] == first.knobs["eta"]


async def test_a_value_can_be_typed_and_a_wrong_one_is_explained():
    link = ScriptedLink()
    async with watching(link).run_test() as pilot:
        await settle(pilot)
        await pilot.press("down", "enter")
        await pilot.pause()
        await pilot.press(*"7", "enter")
        assert "0 to 1" in str(pilot.app.screen.query_one(".error").render())
        await pilot.press("backspace", *"0.123", "enter")
        await settle(pilot)
        assert link.configured[-1].knobs["eta"] == 0.123


async def test_the_slider_is_set_by_mouse():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        panel = pilot.app.query_one(KnobPanel)
        await pilot.click(KnobPanel, offset=Offset(panel.size.width - 9, 1))
        await settle(pilot)
        assert link.configured[-1].knobs["eta"] > 0.5


async def test_the_timeline_is_moved_by_mouse():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        width = pilot.app.query_one(Timeline).size.width
        await pilot.click(Timeline, offset=Offset(width // 2, 1))
        await settle(pilot)
        assert 14 <= pilot.app.watching.player.position <= 18


async def test_restart_repeats_the_seed_and_next_takes_the_next():
    link = ScriptedLink()
    async with watching(link, seed=7).run_test() as pilot:
        await settle(pilot)
        await pilot.press("r")
        await settle(pilot)
        await pilot.press("n")
        await settle(pilot)
        assert link.seeds == [7, 7, 8]


async def test_prompt_tokens_are_locked_in_place():
    link = ScriptedLink()
    async with watching(link, prompt="sea sea sea").run_test() as pilot:
        await settle(pilot)
        await pilot.press("right", "right")
        await settle(pilot)
        assert (link.trace.change(2, 0)[:3] == Change.LOCKED).all()
        assert "sea sea sea" in text_of(pilot.app)


async def test_slow_play_takes_its_time():
    link = ScriptedLink()
    async with watching(link).run_test() as pilot:
        await settle(pilot)
        await pilot.press(*["less_than_sign"] * 7, "space")
        await pilot.pause(0.3)
        assert len(link.trace) <= 1


async def test_heat_recolours_without_moving_a_token():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        await settle(pilot)
        before = text_of(pilot.app)
        grid = pilot.app.query_one(TokenGrid)
        colours = {s.style.bgcolor for s in grid.render_line(0)}
        await pilot.press("c")
        await settle(pilot)
        assert text_of(pilot.app) == before
        assert {s.style.bgcolor for s in grid.render_line(0)} != colours


async def test_samples_of_a_batch_are_leafed_through():
    async with watching(batch=3).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "right", "right")
        await settle(pilot)
        first = text_of(pilot.app)
        await pilot.press("b")
        await settle(pilot)
        assert "sample 2/3" in str(pilot.app.query_one("#status").render())
        assert text_of(pilot.app) != first
        await pilot.press("B")
        await settle(pilot)
        assert text_of(pilot.app) == first


async def test_a_dead_engine_leaves_the_record_and_one_key_starts_another():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "right")
        await settle(pilot)
        link.events.append(Died(-signal.SIGKILL, ""))
        await settle(pilot, lambda app: app.watching.notice.error)
        await pilot.pause()
        banner = str(pilot.app.query_one("#banner").render())
        assert "killed by signal 9" in banner
        assert "R" in banner
        await pilot.press("left")
        await settle(pilot)
        assert pilot.app.watching.player.position == 2
        await pilot.press("R")
        await settle(pilot, lambda app: len(link.seeds) == 2 and not app.query_one("#banner").display)


async def test_an_error_of_a_step_is_a_banner():
    link = ScriptedLink()
    async with watching(link, paused=False).run_test() as pilot:
        await settle(pilot, lambda app: app.watching.begun)
        link.events.append(wire.Failed("step", "the plan holds a NaN", "Traceback"))
        await settle(pilot, lambda app: app.watching.notice.error)
        await pilot.pause()
        assert "NaN" in str(pilot.app.query_one("#banner").render())
        assert not pilot.app.watching.player.playing


async def test_a_model_that_does_not_load_ends_the_application_with_the_reason():
    link = ScriptedLink()
    link.open = lambda *_: link.events.append(wire.Failed("load", "unknown model 'x': choose demo", ""))
    app = watching(link)
    async with app.run_test() as pilot:
        await pilot.pause(0.3)
    assert app.watching.failure == "unknown model 'x': choose demo"
    assert link.closed


async def test_hostile_tokens_do_not_reach_the_terminal():
    link = ScriptedLink(hostile="\x1b]0;owned\x07\u202e")
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        await settle(pilot)
        shown = text_of(pilot.app)
        assert "␛]0;owned␇�" in shown
        assert not set(shown) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize(
    ("size", "side", "curves"),
    [((40, 10), False, False), ((80, 24), True, False), ((120, 40), True, True), ((300, 80), True, True)],
)
async def test_the_layout_fits_the_terminal(size, side, curves):
    async with watching().run_test(size=size) as pilot:
        await settle(pilot)
        assert pilot.app.query_one("#side").display == side
        assert (side and pilot.app.query_one("#curves-box").display) == curves
        assert pilot.app.query_one(TokenGrid).size.width >= min(40, size[0] - 2)


async def test_a_small_terminal_says_that_it_shows_less():
    async with watching().run_test(size=(50, 12)) as pilot:
        await settle(pilot)
        assert "small terminal" in str(pilot.app.query_one("#status").render())


async def test_ascii_mode_draws_in_ascii():
    async with watching(ascii=True).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.position > 5)
        await pilot.pause(0.2)
        lines = [strip.text for strip in pilot.app.screen._compositor.render_strips()]
        # the footer shows arrows for arrow keys
        assert all(line.isascii() for line in lines[:-1]), [line for line in lines[:-1] if not line.isascii()]


async def test_every_key_is_in_the_help_and_in_the_palette():
    async with watching().run_test(size=(120, 60)) as pilot:
        await settle(pilot)
        app = pilot.app
        commands = {command.title for command in app.get_system_commands(app.screen)}
        described = {b.description for b in app.BINDINGS}
        assert described <= commands
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        shown = str(app.screen.query_one("Static").render())
        assert all(text in shown for text in described)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, HelpScreen)


async def test_every_binding_can_be_remapped():
    app = watching()
    assert all(binding.id for binding in app.BINDINGS)
    async with app.run_test() as pilot:
        app.set_keymap({"forward": "x"})
        await settle(pilot)
        await pilot.press("x")
        await settle(pilot)
        assert app.watching.player.position == 1


async def test_the_grid_survives_a_resize():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.resize_terminal(70, 30)
        await settle(pilot)
        assert text_of(pilot.app).count("░░░") == 64


async def test_copied_text_is_the_models_own():
    link = ScriptedLink()
    async with watching(link).run_test() as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "right", "y")
        await settle(pilot)
        tokens = link.trace.tokens(3, 0)
        assert pilot.app.clipboard == "".join("_" if i == MASK else link.words[i] for i in tokens)
        assert np.any(tokens != MASK)
