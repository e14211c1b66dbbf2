import signal
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from textual.content import Content
from textual.geometry import Offset
from textual.widgets import Input
from textual.widgets._tooltip import Tooltip

from engine import strategies, wire
from engine.models.catalogue import PUBLISHED
from engine.records import Change, ModelChoice, Settings, StrategyInfo
from engine.strategies import make_strategy, values
from remdm_tui.app import WatchApp
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.base import Died, Diverged
from remdm_tui.screens.compare import CompareScreen
from remdm_tui.screens.help import GROUPS, HelpScreen
from remdm_tui.screens.models import ModelScreen
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.commands import WatchCommands
from remdm_tui.ui.header_presenter import HeaderPresenter
from remdm_tui.ui.key_table import KEYS
from remdm_tui.ui.presenter import Presenter
from remdm_tui.ui.refresh import RefreshClock
from remdm_tui.widgets.knob_panel import KnobPanel
from remdm_tui.widgets.timeline import Timeline
from remdm_tui.widgets.token_grid import TokenGrid
from tests.tui.scripted import MASK, ScriptedLink
from tests.waiting import seen

LEFT_TO_RIGHT = StrategyInfo("left-to-right", "", "", "time", ())
CAP = Settings("remdm-cap", values(make_strategy("remdm-cap")))


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    async def move(self, pilot, seconds):
        """Let the application count so many seconds, in quarters of one."""
        for _ in range(round(4 * seconds)):
            self.now += 0.25
            await seen(pilot, lambda app: app.refresh_clock.last_tick == self.now)


def watching(link=None, clock=time.monotonic, **options):
    made = link or ScriptedLink()
    defaults = {"steps": 32, "length": 64, "paused": True}
    return WatchApp(WatchOptions(CAP, **(defaults | options)), lambda: made, clock=clock)


async def settle(pilot, until=None):
    """Wait until the application has caught up with its engine, or a condition holds."""
    await seen(
        pilot, lambda app: app.watching.has_record and (app.refresh_clock.resting if until is None else until(app))
    )
    # what was drawn last may have moved the rest of the screen
    await pilot.pause(0.02)


def text_of(app):
    grid = app.query_one(TokenGrid)
    return "\n".join(grid.render_line(y).text for y in range(grid.size.height))


def written(widget):
    """What a widget that draws its own lines shows."""
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


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
        await pilot.press(*["right"] * 5)
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
        pilot.app.controls.play(
            pilot.app.watching.player.__class__(position=position, recorded=64, playing=False, ended=True)
        )
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
        # the slider is shorter where it says what comes next, and its end is the end of the range all the same
        await pilot.press("right")
        await settle(pilot)
        await pilot.click(KnobPanel, offset=Offset(20, 1))
        await seen(pilot, lambda app: " next " in panel.render_line(1).text)
        end = max(panel.render_line(1).text.rfind(sign) for sign in "─━●")
        await pilot.click(KnobPanel, offset=Offset(end, 1))
        await seen(pilot, lambda app: app.watching.upcoming.knobs["eta"] == 1)


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


async def test_what_still_arrives_of_the_last_run_does_not_stop_the_next():
    link = ScriptedLink()
    async with watching(link, paused=False).run_test() as pilot:
        await settle(pilot, lambda app: app.watching.player.done)
        pilot.app.watching.restart(1)
        link.events.insert(0, wire.Finished(1, link.branch))
        await settle(pilot, lambda app: app.watching.player.done and link.trace.start.seed == 1)
        assert pilot.app.watching.position == 32


async def test_prompt_tokens_are_locked_in_place():
    link = ScriptedLink()
    async with watching(link, prompt="sea sea sea").run_test() as pilot:
        await settle(pilot)
        await pilot.press("right", "right")
        await settle(pilot)
        assert (link.trace.change(2, 0)[:3] == Change.LOCKED).all()
        assert "sea sea sea" in text_of(pilot.app)


async def test_slow_play_takes_its_time():
    link, clock = ScriptedLink(), Clock()
    async with watching(link, clock).run_test() as pilot:
        await settle(pilot)
        await pilot.press(*["less_than_sign"] * 7, "space")
        await clock.move(pilot, 0.75)
        assert len(link.trace) == 0
        await clock.move(pilot, 0.25)
        assert len(link.trace) == 1
        await clock.move(pilot, 1)
        assert len(link.trace) == 2


async def test_heat_recolours_without_moving_a_token():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        await settle(pilot)
        before = text_of(pilot.app)
        grid = pilot.app.query_one(TokenGrid)
        colours = {s.style.bgcolor for s in grid.render_line(0)}
        await pilot.press("C")
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
        assert "sample 2/3" in written(pilot.app.main.status)
        assert text_of(pilot.app) != first
        await pilot.press("B")
        await settle(pilot)
        assert text_of(pilot.app) == first


async def test_the_narrowest_header_says_which_sample_is_shown():
    async with watching(batch=3).run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        assert "sample 1/3" in written(pilot.app.main.status)


async def test_a_screen_at_rest_is_drawn_only_when_something_has_changed(monkeypatch):
    drawn = []
    async with watching().run_test() as pilot:
        clock = pilot.app.refresh_clock
        await seen(pilot, lambda app: clock.resting and clock.presenter.settled)
        monkeypatch.setattr(clock.presenter, "draw_words", lambda: drawn.append("words"))
        clock._listen()
        assert drawn == []
        pilot.app.watching.select(3)
        clock._listen()
        assert drawn == ["words"]


async def test_a_dead_engine_leaves_the_record_and_one_key_starts_another():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "right")
        await settle(pilot)
        link.events.append(Died(-signal.SIGKILL, ""))
        await settle(pilot, lambda app: app.watching.notice.error)
        await pilot.pause()
        assert "killed by signal 9" in banner(pilot.app)
        assert "R" in banner(pilot.app)
        for key in ("f", "A"):
            await pilot.press("space", key)
            await settle(pilot, lambda app: app.watching.notice.text == "The engine ended. R restarts it")
            assert not isinstance(pilot.app.screen, CompareScreen)
        await pilot.press("left")
        await settle(pilot)
        assert pilot.app.watching.player.position == 2
        await pilot.press("R")
        await settle(pilot, lambda app: len(link.seeds) == 2 and banner(app).strip() == "")
        await settle(pilot)
        assert len(link.trace) == 3
        assert pilot.app.watching.player.position == 2


async def test_a_lost_connection_is_tried_again_with_patience_and_R_does_not_wait():
    link, clock = ScriptedLink(), Clock()
    async with watching(link, clock, where="gpu").run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "right")
        await settle(pilot)
        link.start = lambda: link.events.append(Died(255, "no route to host"))
        link.open = lambda choice: None
        link.events.append(Died(255, "Connection closed"))
        await settle(pilot, lambda app: "Try 1 of 5 in 1 s" in banner(app))
        assert "Connection closed" in banner(pilot.app)
        await clock.move(pilot, 0.75)
        assert "Try 1 of 5 in 1 s" in banner(pilot.app)
        await clock.move(pilot, 0.25)
        await settle(pilot, lambda app: "Try 2 of 5 in 2 s" in banner(app))
        assert "no route to host" in banner(pilot.app)
        del link.start, link.open
        await pilot.press("R")
        await settle(pilot)
        assert banner(pilot.app).strip() == ""
        await pilot.press("right")
        await settle(pilot)
        assert len(link.trace) == 4


async def test_the_tries_come_to_an_end(monkeypatch):
    monkeypatch.setattr("remdm_tui.watch.reconnect.WAITS", (0.01,) * 5)
    link = ScriptedLink()
    async with watching(link, where="gpu").run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        starts = []
        link.start = lambda: (starts.append(1), link.events.append(Died(255, "no route to host")))
        link.open = lambda choice: None
        link.events.append(Died(255, "Connection closed"))
        await settle(pilot, lambda app: "R: try again" in banner(app))
        assert len(starts) == 5


async def test_steps_that_come_out_otherwise_are_not_mixed_with_the_record():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right")
        await settle(pilot)
        link.begin = lambda *_: link.events.append(Diverged())
        await pilot.press("R")
        await settle(pilot, lambda app: "differ from the record" in banner(app))
        await pilot.press("right")
        await pilot.pause(0.2)
        assert len(link.trace) == 2


async def test_an_error_of_a_step_is_a_banner():
    link = ScriptedLink()
    async with watching(link, paused=False).run_test() as pilot:
        await settle(pilot, lambda app: app.watching.has_record)
        link.events.append(wire.Failed("step", "the plan holds a NaN", "Traceback"))
        await settle(pilot, lambda app: app.watching.notice.error)
        await pilot.pause()
        assert "NaN" in str(pilot.app.query_one("#banner").render())
        assert not pilot.app.watching.player.playing


async def test_what_hovers_over_a_message_is_its_text_and_no_markup():
    link, text = ScriptedLink(), "a plan of [B, L] and [/a]\x1b]0;title\x07 [bold]holds[/bold] a NaN"
    async with watching(link, paused=False).run_test(tooltips=True) as pilot:
        await settle(pilot, lambda app: app.watching.has_record)
        link.events.append(wire.Failed("step", text, "Traceback"))
        await settle(pilot, lambda app: app.watching.notice.error)
        await pilot.hover("#banner", offset=(5, 0))
        await seen(pilot, lambda app: app.screen.query_one(Tooltip).display)
        assert str(pilot.app.screen.query_one(Tooltip).render()) == sanitize(text)


async def test_what_hovers_over_a_knob_is_its_text_and_no_markup():
    async with watching().run_test() as pilot:
        await settle(pilot)
        panel = pilot.app.query_one(KnobPanel)
        panel._rows = [replace(row, info=replace(row.info, doc="share of [/a]\x07")) for row in panel._rows]
        panel.choose(1)
        assert panel.tooltip == Content(sanitize("share of [/a]\x07"))


class Picky(ScriptedLink):
    """Loads one model and no other."""

    def open(self, choice):
        if choice.name == "good":
            super().open(choice)
        else:
            self.opened.append(choice)
            self.events.append(wire.Failed("load", f"{choice.name} is no checkpoint", ""))


def banner(app):
    return str(app.main.banner.render())


def picking(app):
    """The picker is there with all that is in it."""
    return isinstance(app.screen, ModelScreen) and bool(app.screen.query(Input))


async def test_a_model_that_does_not_load_is_reported_and_another_can_be_picked():
    link = Picky()
    async with watching(link, model=ModelChoice("bad")).run_test(size=(120, 40)) as pilot:
        await seen(pilot, picking)
        assert "bad is no checkpoint" in str(pilot.app.screen.query_one(".error").render())
        await pilot.press(*"good", "enter")
        await settle(pilot)
        assert [choice.name for choice in link.opened] == ["bad", "good"]
        assert banner(pilot.app).strip() == ""
    assert pilot.app.watching.failure is None


async def test_leaving_without_any_model_keeps_the_reason():
    async with watching(Picky(), model=ModelChoice("bad")).run_test(size=(120, 40)) as pilot:
        await seen(pilot, picking)
        await pilot.press("escape")
        await pilot.pause()
        assert "m: pick a model" in banner(pilot.app)
        await pilot.press("q")
    assert pilot.app.watching.failure == "bad is no checkpoint"


async def test_a_second_model_that_does_not_load_leaves_the_record_and_R_goes_on():
    link = Picky()
    async with watching(link, model=ModelChoice("good")).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "right")
        await settle(pilot)
        await pilot.press("m")
        await pilot.pause()
        await pilot.press(*"bad", "enter")
        await seen(pilot, lambda app: isinstance(app.screen, ModelScreen) and app.watching.notice.error)
        await pilot.press("escape", "left")
        await settle(pilot)
        assert pilot.app.watching.player.position == 2
        assert "R: continue with good" in banner(pilot.app)
        await pilot.press("R")
        await settle(pilot)
        await pilot.press("end", "right")
        await settle(pilot)
        assert len(link.trace) == 4


async def test_known_models_are_listed_and_chosen_with_the_arrows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("m")
        await pilot.pause()
        await pilot.press("down")
        assert pilot.app.screen.query_one("Input").value == "demo"
        await pilot.press("up")
        await pilot.press("enter")
        await settle(pilot)
        assert link.opened[-1].name == list(PUBLISHED)[-1]


async def test_options_are_typed_behind_the_name_and_wrong_ones_explained():
    link = ScriptedLink()
    async with watching(link, model=ModelChoice("a", trust_remote_code=True)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("m")
        await pilot.pause()
        await pilot.press(*"org/b --mask 5", "enter")
        assert "--mask is unknown: choose" in str(pilot.app.screen.query_one(".error").render())
        await pilot.press(*["backspace"] * 2, *"-id 5", "enter")
        await settle(pilot)
        assert link.opened[-1] == ModelChoice("org/b", mask_id=5)


async def test_a_load_shows_how_far_it_is_and_escape_cancels_it():
    links = []

    class Slow(ScriptedLink):
        def open(self, choice):
            self.opened.append(choice)
            self.events.append(wire.Loading("downloading org/name", 1_200_000_000, 3_400_000_000))

    def make():
        links.append(Slow())
        return links[-1]

    app = WatchApp(WatchOptions(CAP, ModelChoice("org/name")), make)
    async with app.run_test(size=(120, 40)) as pilot:
        await seen(pilot, lambda app: "1.2 of 3.4 GB  35 %" in banner(app))
        assert banner(app).startswith("downloading org/name  ████")
        await pilot.press("escape")
        await seen(pilot, picking)
        assert links[0].closed
        assert len(links) == 2
        assert "Cancelled" in str(app.screen.query_one(".error").render())
    assert app.watching.failure == "Cancelled loading org/name"


async def test_the_model_is_named_above_the_text_and_described_at_length():
    async with watching(ScriptedLink()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert str(pilot.app.query_one("#text").border_title) == "1 toy │ float32 │ cpu │ sdpa"
        await pilot.press("i")
        await pilot.pause()
        about = pilot.app.screen.query_one("Static")
        assert "18" in str(about.render())
        assert "press enter to measure" in str(about.render())
        await pilot.press("enter")
        await seen(pilot, lambda _: "loss 1.5 nats a token (chance is 3.0)" in str(about.render()))


async def test_a_causal_model_is_taken_from_left_to_right_unless_requested_otherwise():
    class Causal(ScriptedLink):
        def start(self):
            self.events.append(wire.Hello((*strategies.catalogue(), LEFT_TO_RIGHT)))

        def info(self, choice):
            return replace(super().info(choice), causal=True, max_length=48)

    for explicit, strategy, steps, length in [
        (frozenset(), "left-to-right", 48, 48),
        (frozenset({"strategy", "steps", "length"}), "remdm-cap", 32, 64),
    ]:
        link = Causal()
        async with watching(link, explicit=explicit).run_test() as pilot:
            await settle(pilot)
            assert pilot.app.watching.settings.strategy == strategy
            assert (link.trace.start.steps, link.trace.start.tokens.shape[1]) == (steps, length)


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
    [((40, 10), False, False), ((80, 24), False, False), ((120, 40), True, True), ((300, 80), True, True)],
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
        assert "small terminal" in written(pilot.app.main.status)


async def test_ascii_mode_draws_in_ascii():
    async with watching(ascii=True).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 6)
        await settle(pilot)
        lines = [strip.text for strip in pilot.app.screen._compositor.render_strips()]
        assert all(line.isascii() for line in lines), [line for line in lines if not line.isascii()]


async def test_the_footer_follows_the_focus_and_keeps_help_and_quit_in_every_width():
    async with watching().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app = pilot.app

        def footer():
            return [key.description for key in app.screen.query("FooterKey")]

        def line():
            return app.screen._compositor.render_strips()[-1].text

        for width in (80, 120, 60, 200):
            await pilot.resize_terminal(width, 24)
            await settle(pilot, lambda app: "Quit" in line() and "Help" in line() and line().rstrip().endswith("Quit"))
        # the figures between text and knobs have no keys of their own
        panels = (("text", "Inspect token", 1), ("knobs", "Turn knob up", 2), ("timeline", "Faster", 1))
        for panel, own, times in panels:
            await pilot.press(*["f6"] * times)
            await settle(pilot, lambda app, own=own: own in footer() and footer()[-2:] == ["Help", "Quit"])
            await pilot.press("question_mark")
            await pilot.pause()
            rows = app.screen.filtered("")
            assert rows[0].what == f"Keys of the {panel}"
            titles = [row.what for row in rows if row.title]
            assert titles[1:] == [*GROUPS, "tokens", "symbols"]
            assert own in [row.what for row in rows[: [row.what for row in rows].index("play")]]
            await pilot.press("escape")
        await pilot.press("escape")
        await settle(pilot, lambda app: "Strategy" in footer() and "Faster" not in footer())


async def test_every_key_is_in_the_help_and_in_the_palette():
    async with watching().run_test(size=(120, 60)) as pilot:
        await settle(pilot)
        app = pilot.app
        commands = [str(hit.display) async for hit in WatchCommands(app.screen).discover()]
        described = {b.description for b in KEYS}
        assert described <= set(commands)
        assert commands == sorted(commands)
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert described <= {row.what for row in app.screen.filtered("")}
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
        await pilot.press("right", "right", "right")
        await settle(pilot)
        await pilot.press("y")
        tokens = link.trace.tokens(3, 0)
        assert pilot.app.clipboard == "".join("_" if i == MASK else link.words[i] for i in tokens)
        assert np.any(tokens != MASK)


async def test_at_full_speed_no_beat_draws_everything_and_what_rests_is_whole(monkeypatch):
    app, beats = watching(steps=20_000, paused=False), [[]]

    def noted(name, draw, *given):
        beats[-1].append((name, app.watching.position))
        draw(*given)

    for kind, name, known in ((HeaderPresenter, "draw", "header"), (Presenter, "draw_side", "side")):
        draw = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda self, *given, n=known, d=draw: noted(n, partial(d, self), *given))

    def ticked(self, tick=RefreshClock.tick):
        beats.append([])
        tick(self)

    monkeypatch.setattr(RefreshClock, "tick", ticked)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda app: sum("side" in {name for name, _ in beat} for beat in beats) >= 2)
        assert app.refresh_clock.rushing
        drawn = [{name for name, _ in beat} for beat in beats if beat]
        assert {"header", "side"} not in drawn
        # by how much depends on what else the machine does
        assert drawn.count({"header"}) > drawn.count({"side"})
        await pilot.press("space")
        await settle(pilot)
        at = app.watching.position
        assert {("header", at), ("side", at)} in map(set, beats)
