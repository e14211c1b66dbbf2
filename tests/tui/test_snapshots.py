"""What the application looks like, as SVG; `pytest --snapshot-update` accepts a change that was looked at."""

import pytest
from textual.widgets import Input

from engine.records import Settings
from remdm_tui.app import WatchApp
from remdm_tui.screens.help import HelpScreen
from remdm_tui.settings.watch_options import WatchOptions
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, settle
from tests.tui.test_panes import STRONG
from tests.waiting import seen


def still(**options):
    """A run whose clock stands still, so that every figure is the same each time."""
    chosen = {"steps": 32, "length": 96, "paused": True} | options
    return WatchApp(WatchOptions(CAP, **chosen), ScriptedLink, clock=lambda: 0.0)


async def drawn(pilot):
    """Let the application draw until nothing on the screen changes any more."""
    await settle(pilot)
    before = ""
    while (now := pilot.app.export_screenshot()) != before:
        before = now
        await pilot.pause(0.1)


async def halfway(pilot):
    await settle(pilot)
    await pilot.press(*["right"] * 16)
    await settle(pilot)
    await drawn(pilot)


async def heated(pilot):
    await halfway(pilot)
    await pilot.press("C")
    await drawn(pilot)


async def helped(pilot):
    await halfway(pilot)
    await pilot.press("question_mark")
    await seen(pilot, lambda app: isinstance(app.screen, HelpScreen) and app.screen.options.option_count)
    pilot.app.screen.query_one(Input).cursor_blink = False
    await drawn(pilot)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_halfway(snap_compare, size):
    assert snap_compare(still(prompt="sea"), terminal_size=size, run_before=halfway)


def test_light(snap_compare):
    app = still()
    app.theme = "textual-light"
    assert snap_compare(app, terminal_size=(100, 30), run_before=halfway)


def test_ascii(snap_compare):
    assert snap_compare(still(ascii=True), terminal_size=(100, 34), run_before=halfway)


def test_heat(snap_compare):
    assert snap_compare(still(), terminal_size=(100, 30), run_before=heated)


async def pinned(pilot):
    await halfway(pilot)
    await pilot.press("M", "left", "left", "I", "V")
    await drawn(pilot)


def test_legend_marks_and_first_steps(snap_compare):
    assert snap_compare(still(), terminal_size=(100, 40), run_before=pinned)


def test_help(snap_compare):
    assert snap_compare(still(), terminal_size=(100, 50), run_before=helped)


async def compared(pilot):
    await halfway(pilot)
    await pilot.press("tab", "d")
    await drawn(pilot)


def test_compare(snap_compare):
    app = still(compare=(Settings("mdlm", {}), STRONG, CAP))
    assert snap_compare(app, terminal_size=(120, 40), run_before=compared)
