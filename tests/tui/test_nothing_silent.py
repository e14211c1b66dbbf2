"""No key is silent: in every phase each changes what is on screen, or says why it does not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from engine import wire
from engine.recording import Recording
from engine.strategies import catalogue
from remdm_tui.app import WatchApp
from remdm_tui.link.base import Died
from remdm_tui.link.replay import READ_ONLY, ReplayLink, replay_options
from remdm_tui.preferences.keymap import PanelBinding
from remdm_tui.ui.key_table import APP_KEYS, KEYS
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.phase import Dead, EngineFailed
from remdm_tui.watch.run_recording import RunRecording
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import settle, watching, written
from tests.waiting import seen

SIZE = (80, 24)
STEPS = 6


class WaitingLink(ScriptedLink):
    """An engine that never has its model."""

    def open(self, choice):
        self.opened.append(choice)


class FailingLink(ScriptedLink):
    """An engine that cannot load the model."""

    def open(self, choice):
        self.opened.append(choice)
        self.events.append(wire.Failed("load", "the file could not be read", ""))


def still(link=None, **options):
    return watching(link, clock=lambda: 0.0, steps=STEPS, length=24, **options)


async def ahead(pilot, steps=3):
    await settle(pilot)
    await pilot.press(*["right"] * steps)
    await settle(pilot)


@asynccontextmanager
async def loading(tmp_path):
    async with still(WaitingLink()).run_test(size=SIZE) as pilot:
        await seen(pilot, lambda app: app.watching.progress is not None)
        yield pilot


@asynccontextmanager
async def running(tmp_path):
    async with still().run_test(size=SIZE) as pilot:
        await ahead(pilot)
        # its clock stands still, so that nothing moves by itself
        pilot.app.controls.play(replace(pilot.app.watching.player, playing=True, speed=1))
        yield pilot


@asynccontextmanager
async def paused(tmp_path):
    async with still().run_test(size=SIZE) as pilot:
        await ahead(pilot)
        yield pilot


@asynccontextmanager
async def done(tmp_path):
    async with still().run_test(size=SIZE) as pilot:
        await ahead(pilot, STEPS + 1)
        await seen(pilot, lambda app: app.watching.player.done)
        yield pilot


@asynccontextmanager
async def replayed(tmp_path):
    path = tmp_path / "run.remdm"
    if not path.exists():
        async with still(record=path).run_test(size=SIZE) as pilot:
            await ahead(pilot, STEPS + 1)
    recording = Recording.open(path)
    app = WatchApp(
        replay_options(recording), lambda: ReplayLink(recording, 0, catalogue()), clock=lambda: 0.0,
        recording=RunRecording(recording=recording),
    )  # fmt: skip
    async with app.run_test(size=SIZE) as pilot:
        # a law that the last step breaks is found by a thread, and its message would replace another
        await seen(pilot, lambda app: app.watching.debug.findings.broken)
        app.controls.seek(2)
        yield pilot
    recording.close()


@asynccontextmanager
async def failed(tmp_path):
    async with still(FailingLink()).run_test(size=SIZE) as pilot:
        await seen(pilot, lambda app: isinstance(app.watching.phase, EngineFailed) and len(app.screen_stack) == 2)
        await pilot.press("escape")
        yield pilot


@asynccontextmanager
async def dead(tmp_path):
    link = ScriptedLink()
    async with still(link).run_test(size=SIZE) as pilot:
        await ahead(pilot)
        link.events.append(Died(1, "gone"))
        await seen(pilot, lambda app: isinstance(app.watching.phase, Dead))
        yield pilot


PHASES = {one.__name__: one for one in (loading, running, paused, done, replayed, failed, dead)}


def look(app):
    """What is on screen, to the last style."""
    app.refresh_clock.tick()
    # while the run plays they are drawn now and then, and the clock of these tests stands still
    app.refresh_clock.presenter.draw_panels()
    strips = app.screen._compositor.render_strips()
    return type(app.screen), [tuple(strip) for strip in strips]


def situation(app):
    """What must be as it was for the next key to be tried in the same session."""
    session, main = app.watching, app.main
    return (
        session.phase, session.player, session.state.branch, session.state.order, session.state.panes.panes,
        session.made, session.upcoming, session.sample, session.debug.inspector.at, session.debug.branches.against,
        session.recording.marks, session.seed, main.legend, main.focused, main.zoom.zoomed, main.zoom.drawer,
        main.panes.active_map.cells.view, main.panes.active_map.cells.mode, main.panes.active_map.cells.marks,
        main.panes.mode, len(app.screen_stack),
        app.guide._tour, session.state.needs_model,
    )  # fmt: skip


async def tidy_up(pilot, player, settings, focused, zoomed):
    """Undo what is quickly undone: most keys can then be tried in one session."""
    app, cells = pilot.app, pilot.app.main.panes.active_map.cells
    while len(app.screen_stack) > 1:
        app.pop_screen()
    if app.main.legend is not None:
        app.main.action_legend()
    zoom = app.main.zoom
    if zoom.drawer or zoom.zoomed != zoomed:
        zoom.restore()
    app.main.set_focus(focused)
    if app.watching.recording.marks:
        await app.run_action("mark", app.main.timeline)
    app.guide.escape()
    app.main.text.look_at(None)
    if app.main.panes.mode.name != "state":
        app.main.panes.colour_by("state")
    if cells.view is not None:
        cells.action_whole()
    app.watching.player = player
    app.watching.configure(settings)
    await pilot.pause(0)
    app.watching.notice = Notice()
    await pilot.pause(0)


async def silent_keys(phase, tmp_path, bindings, before=()):
    """Press keys, each in the same situation; return the ids of those without an answer."""
    left, silent = list(bindings), []
    while left:
        async with phase(tmp_path) as pilot:
            app = pilot.app
            await pilot.press(*before)
            await pilot.pause()
            app.watching.notice = Notice()
            start = app.watching.player, app.watching.settings, app.main.focused, app.main.zoom.zoomed
            was, first, screen = situation(app), look(app), app.screen
            while left:
                binding = left.pop(0)
                await app.run_action(binding.action, app if binding in APP_KEYS else screen)
                answered = bool(app.watching.notice.text)
                await pilot.pause(0)
                if app.return_code is not None:
                    break
                # a message is enough, or a dialog; what else has changed is to be seen
                answered = answered or bool(app.watching.notice.text) or app.screen is not screen
                if not answered and look(app) == first:
                    silent.append(binding.id)
                await tidy_up(pilot, *start)
                if situation(app) != was:
                    break
    return silent


@pytest.mark.parametrize("name", PHASES)
async def test_every_key_answers(tmp_path, name):
    keys = [binding for binding in KEYS if not isinstance(binding, PanelBinding)]
    assert await silent_keys(PHASES[name], tmp_path, keys) == []


@pytest.mark.parametrize("name", ["paused", "replayed"])
async def test_every_key_of_the_map_answers(tmp_path, name):
    keys = [binding for binding in KEYS if isinstance(binding, PanelBinding)]
    assert await silent_keys(PHASES[name], tmp_path, keys, before=["2"]) == []


async def test_a_recording_offers_only_what_works(tmp_path):
    async with replayed(tmp_path) as pilot:

        def offered(app):
            return {key.description for key in app.screen.query("FooterKey")}

        await seen(pilot, lambda app: "Strategy" not in offered(app))
        assert not {"Restart", "Next seed", "Compare"} & offered(pilot.app)
        assert {"Play/pause", "Step", "Back", "Help", "Quit"} <= offered(pilot.app)
        # the key itself says why it does nothing
        await pilot.press("s")
        assert pilot.app.watching.notice.text == READ_ONLY


async def test_the_narrowest_header_says_that_a_batch_is_a_recording(tmp_path):
    async with still(record=tmp_path / "run", batch=3).run_test(size=(60, 20)) as pilot:
        await ahead(pilot, 2)
    recording = Recording.open(tmp_path / "run")
    app = WatchApp(
        replay_options(recording), lambda: ReplayLink(recording, 0, catalogue()), clock=lambda: 0.0,
        recording=RunRecording(recording=recording),
    )  # fmt: skip
    async with app.run_test(size=(60, 20)) as pilot:
        await seen(pilot, lambda app: "remdm-cap eta 0.02 │ recording │ " in written(app.main.status))
    recording.close()


async def test_a_recording_refuses_an_edit_before_it_asks_for_anything(tmp_path):
    async with replayed(tmp_path) as pilot:
        for key in "aFuK":
            pilot.app.watching.notice = Notice()
            await pilot.press(key)
            assert (len(pilot.app.screen_stack), pilot.app.watching.notice.text) == (1, READ_ONLY), key


async def test_without_a_model_header_and_text_say_so(tmp_path):
    async with failed(tmp_path) as pilot:
        await seen(pilot, lambda app: "no model" in written(app.main.status))
        assert any(
            "No model is loaded. m picks one" in "".join(part.text for part in line) for line in look(pilot.app)[1]
        )
