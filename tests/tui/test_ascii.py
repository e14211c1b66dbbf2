"""With `--ascii`, nothing but ASCII is on the screen, wherever the keys lead."""

from __future__ import annotations

import pytest
from textual.keys import format_key
from textual.pilot import Pilot

from remdm_tui.app import WatchApp
from remdm_tui.preferences.config_file import Configuration
from remdm_tui.preferences.keymap import KeyTable, readable_key
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.commands import of_keys
from remdm_tui.ui.key_table import KEYS
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, settle

ENDING = {"quit", "suspend"}
ALIKE = ("-previous", "-up", "-down", "-back")
"""Ends of ids whose keys show what the key in the other direction shows."""


def lines(app: WatchApp) -> list[str]:
    """Return what every screen shows, the ones below a dialog too."""
    return [strip.text for screen in app.screen_stack for strip in screen._compositor.render_strips()]


def strange(app: WatchApp) -> list[str]:
    return [line for line in lines(app) if not line.isascii()]


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


async def test_every_key_leads_to_a_screen_in_ascii() -> None:
    options = WatchOptions(CAP, steps=32, length=1024, paused=True, ascii=True, prompt="sea")
    app = WatchApp(options, ScriptedLink)
    async with app.run_test(size=(100, 32)) as pilot:
        await settle(pilot)
        assert app.main.panes.active.show_vertical_scrollbar
        await press(pilot, *["right"] * 3)
        assert "right Step" in lines(app)[-1]
        assert "left Back" in lines(app)[-1]
        seen = set()
        for binding in KEYS:
            if binding.id in ENDING or binding.id.endswith(ALIKE):
                continue
            if not app.watching.player.position:
                await settle(pilot)
                await press(pilot, "right", "right")
            await press(pilot, binding.key.split(",")[0])
            assert not strange(app), (binding.id, strange(app))
            while len(app.screen_stack) > 1:
                seen.add(type(app.screen).__name__)
                await press(pilot, "down", "é")
                assert not strange(app), (binding.id, strange(app))
                await press(pilot, "escape")
        assert {"HelpScreen", "LineScreen", "ModelScreen", "AboutScreen", "BreakpointScreen"} <= seen


async def test_the_palette_and_textuals_own_panels_are_in_ascii() -> None:
    app = WatchApp(WatchOptions(CAP, steps=32, length=64, paused=True, ascii=True), ScriptedLink)
    async with app.run_test(size=(100, 60)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p")
        await pilot.pause(0.1)
        assert len(app.screen_stack) > 1
        assert not strange(app), strange(app)
        await press(pilot, *"step", "down")
        assert not strange(app), strange(app)
        await press(pilot, "escape")
        app.action_show_help_panel()
        app.notify("an error", title="Textual's own", severity="error")
        await pilot.pause(0.1)
        assert not strange(app), strange(app)
        assert "Take one step, and pause (key right l)" in [command.help for command in of_keys(app.main)]
        assert all(command.help.isascii() for command in of_keys(app.main))


async def test_the_first_steps_name_the_arrows() -> None:
    app = WatchApp(WatchOptions(CAP, steps=32, length=64, paused=True, ascii=True), ScriptedLink)
    async with app.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "V", "space", "space")
        assert any("2/6:  right l  take one step" in line for line in lines(app))
        await press(pilot, "right")
        assert any("3/6:  left h  go one step back" in line for line in lines(app))


@pytest.mark.parametrize("key", ["right", "left", "up", "down", "enter", "backspace"])
def test_a_key_with_a_sign_is_a_word_in_ascii(key: str) -> None:
    assert readable_key(key) == format_key(key) != key
    assert readable_key(key, ascii_only=True) == key


def test_a_key_beyond_ascii_is_its_number() -> None:
    assert readable_key("é", ascii_only=True) == "U+00E9"
    assert readable_key("ctrl+é", ascii_only=True) == "ctrl+U+00E9"
    table = KeyTable(KEYS, {"play": "euro_sign,x"}, ascii_only=True)
    assert table.shown()["play"] == "euro_sign x"


async def test_a_key_that_somebody_chose_is_in_ascii_in_the_footer() -> None:
    chosen = Preferences(Configuration(keys={"forward": "é"}))
    app = WatchApp(WatchOptions(CAP, steps=32, length=64, paused=True, ascii=True), ScriptedLink, preferences=chosen)
    async with app.run_test(size=(200, 40)) as pilot:
        await settle(pilot)
        assert "U+00E9 Step" in lines(app)[-1]
