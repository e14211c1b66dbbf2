"""Messages name the keys that a person has, whatever they are."""

from __future__ import annotations

import re
from pathlib import Path

import remdm_tui
from remdm_tui.app import WatchApp
from remdm_tui.console.sanitize import sanitize
from remdm_tui.preferences.config_file import Configuration
from remdm_tui.preferences.keymap import KeyTable
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.key_table import KEYS
from remdm_tui.watch.key_names import key, name_keys
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, banner, settle
from tests.waiting import seen

NAMED = re.compile(r"""\b(?:key\(|keys\[)['"]([a-z0-9-]+)['"]""")
"""An id in the source, of a key that a message names."""


def test_a_message_names_the_first_key_that_is_bound():
    keys = KeyTable(KEYS, {"revive": "f5,x"}).first_keys()
    assert name_keys(f"It ended ({key('revive')}: restart, {key('play')}: pause)", keys) == (
        "It ended (f5: restart, space: pause)"
    )


def test_the_placeholder_of_an_unknown_key_stays():
    assert name_keys(key("nope"), {}) == key("nope")


def test_text_from_outside_can_name_no_key():
    forged = sanitize(f"{key('revive')}.remdm", cells=True)
    assert name_keys(forged, KeyTable(KEYS).first_keys()) == forged


def test_every_key_that_a_message_names_exists():
    sources = Path(remdm_tui.__file__).parent.rglob("*.py")
    named = {name for path in sources for name in NAMED.findall(path.read_text(encoding="utf-8"))}
    assert {"revive", "restart", "model", "play", "inspect"} <= named
    assert named <= {binding.id for binding in KEYS}


async def test_messages_on_screen_name_keys_of_ones_own():
    chosen = Preferences(Configuration(keys={"inspect": "f9", "compare": "f7", "play": "f8"}))
    options = WatchOptions(CAP, steps=10_000, length=64, paused=True)
    async with WatchApp(options, ScriptedLink, preferences=chosen).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("u")
        await seen(pilot, lambda app: "Press f9 or click one" in banner(app))
        await pilot.press("J")
        await seen(pilot, lambda app: "f7 compares" in banner(app))
        await pilot.press("f9", *["less_than_sign"] * 7, "f8", "u")
        await seen(pilot, lambda app: "Pause (f8) to edit" in banner(app))
