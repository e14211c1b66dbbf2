"""A person's own keys and theme, marks, the legend, the first steps, exports, and what the next session begins with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len

from engine.recording import Mark, Recording
from engine.records import Branch
from remdm_tui.app import WatchApp
from remdm_tui.exports import EXPORT_KINDS
from remdm_tui.exports.raster import BRAILLE, braille_dots
from remdm_tui.link.replay import ReplayLink, replay_options
from remdm_tui.preferences.config_file import Configuration
from remdm_tui.preferences.keymap import KeyTable
from remdm_tui.preferences.last_session import Memory, Remembered
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.preferences.startup import apply_preferences, sampler_settings
from remdm_tui.render.palette import palette
from remdm_tui.render.plate_modes import MODES
from remdm_tui.screens.help import HelpScreen
from remdm_tui.screens.line import LineScreen
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.commands import WatchCommands
from remdm_tui.ui.key_table import KEYS
from remdm_tui.ui.tour import ACTIONS, STEPS, Tour
from remdm_tui.watch.bookmarks import bookmarked_positions, next_bookmark
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.widgets.legend import LegendPanel, legend
from remdm_tui.widgets.timeline import Timeline
from tests.engine.recordings import recorded
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, banner, settle
from tests.tui.test_run_recording import unwritable
from tests.waiting import seen


def person(preferences=None, link=None, **options):
    preferences = preferences or Preferences()
    chosen = WatchOptions(CAP, **({"steps": 32, "length": 64, "paused": True} | options))
    return WatchApp(apply_preferences(chosen, preferences), lambda: link or ScriptedLink(), preferences=preferences)


async def offered(app):
    """Return what the palette offers, by name."""
    hits = [hit async for hit in WatchCommands(app.screen).discover()]
    return {str(hit.display): hit for hit in hits}


def text(app, selector):
    return str(app.query_one(selector).render())


async def stepped(pilot, count):
    await settle(pilot)
    await pilot.press(*["right"] * count)
    await settle(pilot)


# -- keys and theme


async def test_a_key_of_ones_own_takes_the_place_of_the_key_that_was():
    preferences = Preferences(Configuration(keys={"forward": "f8"}))
    async with person(preferences).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "l")
        await settle(pilot)
        assert pilot.app.watching.player.position == 0
        await pilot.press("f8")
        await settle(pilot)
        assert pilot.app.watching.player.position == 1
        assert (await offered(pilot.app))["Step"].help == "Take one step, and pause (key f8)"
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)
        assert [row.key for row in pilot.app.screen.filtered("f8 step")] == ["", "f8"]


async def test_what_is_wrong_with_the_configuration_is_reported_and_the_run_begins():
    preferences = Preferences(Configuration(problems=("config.toml: no key has the id 'plai': perhaps play",)))
    async with person(preferences).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "perhaps play" in banner(pilot.app)
        await stepped(pilot, 1)


@pytest.mark.parametrize(
    ("configured", "last", "environment", "theme"),
    [
        ("nord", "gruvbox", "", "nord"),
        (None, "gruvbox", "", "gruvbox"),
        (None, "gone", "", "textual-dark"),
        ("nord", "gruvbox", "dracula", "textual-dark"),
    ],
    ids=["configured", "last", "no longer there", "the environment's"],
)
async def test_the_theme_is_the_environments_else_the_configured_else_the_last(
    monkeypatch, configured, last, environment, theme
):
    if environment:
        monkeypatch.setenv("TEXTUAL_THEME", environment)
    preferences = Preferences(Configuration(theme=configured), Memory(Remembered(toured=True, theme=last)))
    async with person(preferences).run_test() as pilot:
        await settle(pilot)
        # Textual itself has read the environment when it was imported
        assert pilot.app.theme == theme


# -- what the next session begins with


async def test_a_session_leaves_what_was_turned_and_the_next_begins_with_it(tmp_path):
    place = tmp_path / "session.json"
    preferences = Preferences(memory=Memory.read(place), kept=frozenset({"remdm-cap"}))
    async with person(preferences).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("E", "P", "less_than_sign", "I")
        await pilot.press("C")
        pilot.app.theme = "textual-light"
        await settle(pilot)
        left = pilot.app.watching.settings
    last = Memory.read(place).last
    assert (last.theme, last.by_confidence, last.legend, last.speed) == ("textual-light", True, True, 100)
    assert sampler_settings(last.sampler) == left != CAP
    preferences = Preferences(memory=Memory.read(place), kept=frozenset({"remdm-cap"}))
    async with person(preferences).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app = pilot.app
        assert (app.theme, app.main.panes.mode.name, app.watching.player.speed) == ("textual-light", "confidence", 100)
        assert len(app.query(LegendPanel)) == 1


@pytest.mark.parametrize("file", ["", "damaged"])
async def test_a_recording_leaves_the_knobs_of_the_last_session_alone(tmp_path, file):
    place = tmp_path / "session.json"
    place.write_text(file or '{"version":1,"toured":true,"sampler":{"strategy":"mdlm"}}')
    recorded(tmp_path / "run", steps=8)
    recording = Recording.open(tmp_path / "run")
    preferences = Preferences(memory=Memory.read(place))
    options = apply_preferences(replay_options(recording), preferences)
    app = WatchApp(
        options, lambda: ReplayLink(recording), recording=RunRecording(recording=recording), preferences=preferences
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert app.watching.settings.strategy == "remdm-cap"
        await pilot.press("C")
    last = json.loads(place.read_text())
    assert last["heat"]
    assert (last["sampler"] or {}).get("strategy") == (None if file else "mdlm")
    recording.close()


# -- the first steps


def test_the_first_steps_are_six_keys_one_after_another():
    tour = Tour()
    assert len(STEPS) == 6
    assert tour.did("forward") == tour
    for action in ("play_pause", "forward", "step_back", "notch('strategy',1)", "inspect"):
        tour = tour.did(action)
    assert tour.now == 5
    assert tour.did("help").now is None


async def test_the_first_steps_are_shown_once_and_are_in_nobodys_way(tmp_path):
    place = tmp_path / "session.json"
    async with person(Preferences(memory=Memory.read(place), tours=True)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "first steps 1/6:  space" in text(pilot.app, "#tour")
        await pilot.press("space")
        await settle(pilot, lambda app: app.watching.player.done)
        assert "first steps 2/6:  →" in text(pilot.app, "#tour").replace("right l", "→")
        assert pilot.app.watching.recorded == 32
    # who leaves in the middle sees it again; who has ended it does not
    async with person(Preferences(memory=Memory.read(place), tours=True)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert len(pilot.app.query("#tour")) == 1
        await pilot.press("escape")
        await pilot.pause()
        assert len(pilot.app.query("#tour")) == 0
    async with person(Preferences(memory=Memory.read(place), tours=True)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert len(pilot.app.query("#tour")) == 0
        await pilot.press("V")
        await pilot.pause()
        assert "first steps 1/6" in text(pilot.app, "#tour")


async def test_who_takes_all_steps_has_seen_them(tmp_path):
    place = tmp_path / "session.json"
    async with person(Preferences(memory=Memory.read(place), tours=True)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space", "right", "left", "s", "v", "question_mark")
        await pilot.pause()
        await pilot.press("escape")
        await seen(pilot, lambda app: "End of the first steps" in banner(app))
    assert Memory.read(place).last.toured


async def test_sessions_without_directories_show_no_first_steps_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with person().run_test() as pilot:
        await settle(pilot)
        assert len(pilot.app.query("#tour")) == 0
    assert list(tmp_path.iterdir()) == []


# -- marks


def test_a_branch_has_its_own_marks_and_those_of_the_steps_it_shares():
    branches = [Branch(0), Branch(1, 0, 10), Branch(2, 1, 5)]
    marks = [Mark(0, 3), Mark(0, 8), Mark(0, 12), Mark(1, 11), Mark(1, 5), Mark(2, 7), Mark(2, 7)]
    assert bookmarked_positions(marks, branches, 0) == (3, 8, 12)
    assert bookmarked_positions(marks, branches, 1) == (3, 5, 8, 11)
    assert bookmarked_positions(marks, branches, 2) == (3, 5, 7)


def test_the_neighbours_of_a_position_are_found():
    assert [next_bookmark((3, 8), at, 1) for at in (0, 3, 8)] == [3, 8, None]
    assert [next_bookmark((3, 8), at, -1) for at in (9, 8, 3)] == [8, 3, None]


async def test_marks_are_gone_to_shown_listed_and_recorded(tmp_path):
    async with person(record=tmp_path / "run").run_test(size=(120, 40)) as pilot:
        app = pilot.app
        await stepped(pilot, 3)
        await pilot.press("M")
        await stepped(pilot, 4)
        await pilot.press("M", "M")
        assert "Step 7 is already bookmarked" in app.watching.notice.text
        await pilot.press("home")
        await settle(pilot)
        for key, position in (("}", 3), ("}", 7), ("}", 7), ("{", 3), ("{", 3)):
            await pilot.press("right_curly_bracket" if key == "}" else "left_curly_bracket")
            await settle(pilot)
            assert app.watching.player.position == position
        assert "No bookmark before this step" in banner(app)
        timeline = app.query_one(Timeline)
        assert timeline.render_line(1).text.count("◆") == 2
        listed = [hit for name, hit in (await offered(app)).items() if name.startswith("Bookmark: ")]
        assert [str(hit.display) for hit in listed] == ["Bookmark: step 3", "Bookmark: step 7"]
        listed[1].command()
        await settle(pilot)
        assert app.watching.player.position == 7
    recording = Recording.open(tmp_path / "run")
    assert [(mark.branch, mark.position) for mark in recording.marks] == [(0, 3), (0, 7)]
    app = WatchApp(
        replay_options(recording), lambda: ReplayLink(recording), recording=RunRecording(recording=recording)
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right_curly_bracket", "right_curly_bracket")
        await settle(pilot)
        assert app.watching.player.position == 7
        await pilot.press("left", "M")
        await seen(pilot, lambda app: "for this session only" in banner(app))
        assert app.main.timeline.bookmarks == (3, 6, 7)
    recording.close()


# -- the legend


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_legend_stays_until_it_is_put_away(size):
    async with person().run_test(size=size) as pilot:
        await stepped(pilot, 2)
        await pilot.press("I")
        await pilot.pause()
        shown = text(pilot.app, "#legend")
        for word in ("masked", "kept", "revealed", "remasked", "prompt", "alpha", "sigma", "eta", "p  "):
            assert word in shown
        await pilot.press("I")
        await pilot.pause()
        assert len(pilot.app.query("#legend")) == 0


# -- exports


async def exported(pilot, name):
    """Ask for an export from the palette, and name the file."""
    kind = name.suffix.removeprefix(".")
    (await offered(pilot.app))[f"Export: {kind}"].command()
    await pilot.pause()
    line = pilot.app.screen.query_one("Input")
    assert line.value.endswith(f".{kind}")
    line.value = str(name)
    await pilot.press("enter")


async def test_every_export_of_the_palette_writes_what_it_says(tmp_path):
    async with person().run_test(size=(100, 30)) as pilot:
        for kind in EXPORT_KINDS:
            await stepped(pilot, 1)
            out = tmp_path / f"out.{kind}"
            await exported(pilot, out)
            await seen(pilot, lambda app, out=out: f"Exported {out}" in app.watching.notice.text)
            assert f"{out.stat().st_size:,} bytes" in pilot.app.watching.notice.text
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(f"out.{kind}" for kind in EXPORT_KINDS)


async def test_the_screen_is_exported_as_it_is(tmp_path):
    async with person().run_test(size=(100, 30)) as pilot:
        await stepped(pilot, 3)
        for kind in ("txt", "svg", "png"):
            (await offered(pilot.app))[f"Export the screen: {kind}"].command()
            await pilot.pause()
            out = tmp_path / f"out.{kind}"
            pilot.app.screen.query_one("Input").value = str(out)
            await pilot.press("enter")
            await seen(pilot, lambda app, out=out: f"Exported {out}" in app.watching.notice.text)
        titles = [one.title for one in pilot.app.get_system_commands(pilot.app.screen)]
        assert "Screenshot" not in titles
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert len(lines) == 30
    assert "paused 3/32" in lines[0]
    assert any("knobs" in line for line in lines)
    svg = (tmp_path / "out.svg").read_text()
    assert "url(http" not in svg
    assert "knobs" in svg
    with Image.open(tmp_path / "out.png") as picture:
        assert len(picture.getcolors(1 << 16)) > 20


def test_the_dots_of_a_curve_are_drawn_without_a_font():
    assert braille_dots(ord("⠁") - BRAILLE) == [(0, 0)]
    assert braille_dots(ord("⢀") - BRAILLE) == [(1, 3)]
    assert len(braille_dots(ord("⣿") - BRAILLE)) == 8


async def test_what_cannot_be_exported_is_one_sentence(tmp_path):
    (tmp_path / "there.csv").write_text("mine")
    async with person().run_test(size=(100, 30)) as pilot:
        await stepped(pilot, 2)
        await pilot.press("W")
        await pilot.pause()
        assert isinstance(pilot.app.screen, LineScreen)
        for name, sentence in (
            ("", "Type a file name"), ("x", "unknown kind of export ''"), ("x.mp3", "unknown kind of export 'mp3'"),
            (str(tmp_path / "there.csv"), "exists already"),
        ):  # fmt: skip
            pilot.app.screen.query_one("Input").value = name
            await pilot.press("enter")
            await pilot.pause()
            assert sentence in str(pilot.app.screen.query_one(".error").render())
        pilot.app.screen.query_one("Input").value = str(tmp_path / "none" / "out.csv")
        await pilot.press("enter")
        await seen(pilot, lambda app: "Cannot write" in banner(app) and "No such file" in banner(app))
    assert (tmp_path / "there.csv").read_text() == "mine"


async def test_a_run_that_is_in_memory_alone_cannot_be_exported(monkeypatch):
    unwritable(monkeypatch, "spool", "in_memory")
    async with person().run_test(size=(100, 30)) as pilot:
        await stepped(pilot, 2)
        await pilot.press("W")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert "Not recording" in str(pilot.app.screen.query_one(".error").render())
        await pilot.press("escape", "M")
        await seen(pilot, lambda app: "for this session only" in banner(app))
        assert pilot.app.main.timeline.bookmarks == (2,)


def test_a_copy_of_a_recording_does_not_grow(tmp_path):
    from engine.recording import Recorder
    from tests.engine.recordings import header, session_of, start_of

    session = session_of("remdm-cap", steps=24)
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    frames = list(session)
    for frame in frames[:10]:
        recorder.frame(0, frame)
    copy = recorder.recording.copy()
    for frame in frames[10:]:
        recorder.frame(0, frame)
    assert (len(copy.trace()), len(recorder.recording.trace())) == (10, 24)
    assert np.array_equal(copy.trace().tokens(10, 0), frames[9].tokens[0])
    assert copy.damage == ""
    recorder.close()
    assert len(copy.trace().curves.column("masked", 0)) == 10
    copy.close()
    with pytest.raises(ValueError, match="is closed"):
        copy.copy()


def test_every_first_step_fits_a_small_terminal():
    tour = Tour()
    for name, _ in STEPS:
        line = tour.line(KeyTable(KEYS).shown())
        assert KeyTable(KEYS).shown()[name] in line
        assert len(line) <= 78
        tour = tour.did(next(action for action, one in ACTIONS.items() if one == name))
    assert tour.line(KeyTable(KEYS).shown()) == ""


@pytest.mark.parametrize("plain", [False, True])
def test_the_legend_fits_a_small_terminal(plain):
    texts = [str(legend(palette(True, plain), mode)) for mode in MODES.values() if mode.levels]
    assert all(cell_len(line.rstrip()) <= 38 for text in texts for line in text.splitlines())
