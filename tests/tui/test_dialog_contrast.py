"""The text of every dialog is readable under the themes of each kind."""

from __future__ import annotations

import pytest
from rich.style import Style
from textual.color import Color
from textual.filter import DimFilter
from textual.pilot import Pilot

from remdm_tui.app import WatchApp
from remdm_tui.preferences.config_file import Configuration
from remdm_tui.preferences.contrast import TEXT, contrast
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.settings.watch_options import WatchOptions
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, settle

OPENERS = {
    "help": "?", "model": "m", "export": "W", "keep": "w", "breakpoints": "x", "about": "i", "command": ":",
    "search": "/", "runs": "U", "table": "J", "choice": "enter", "value": "j enter", "prompt": "a", "palette": "ctrl+p",
}  # fmt: skip
"""Keys that open each dialog."""


def faint(app: WatchApp) -> list[tuple[str, float]]:
    """Return the texts on the top screen's own widgets whose contrast is too low, with it."""
    found, own = [], [child.region for child in app.screen.children if child.display]
    for y, strip in enumerate(app.screen._compositor.render_strips()):
        column = 0
        for text, style, _ in strip.apply_filter(DimFilter(), app.screen.background_colors[1]):
            here, column = column, column + len(text)
            words = text.strip()
            if not any(c.isalnum() for c in words) or not any(region.contains(here, y) for region in own):
                continue
            style = style or Style()
            front, back = style.color, style.bgcolor
            if style.reverse:
                front, back = back, front
            assert front is not None
            assert back is not None
            ratio = contrast(Color.from_rich_color(front), Color.from_rich_color(back))
            if ratio < TEXT:
                found.append((words, round(ratio, 2)))
    return found


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause(0.05)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "high-contrast"])
async def test_the_text_of_dialogs_is_readable(theme: str) -> None:
    options = WatchOptions(CAP, steps=32, length=24, batch=2, paused=True)
    app = WatchApp(options, ScriptedLink, preferences=Preferences(Configuration(theme=theme)))
    seen, wrong = set(), {}
    async with app.run_test(size=(100, 32)) as pilot:
        await settle(pilot)
        await press(pilot, "right", "right")
        assert app.theme == theme
        for name, keys in OPENERS.items():
            await press(pilot, *keys.split())
            assert len(app.screen_stack) > 1, name
            seen.add(type(app.screen).__name__)
            wrong[name] = faint(app)
            await press(pilot, "down")
            wrong[name] += faint(app)
            # a complaint, or a list without a choice
            await press(pilot, "é", *["enter"] * (name in {"model", "value", "breakpoints", "command", "export"}))
            wrong[name] += faint(app)
            while len(app.screen_stack) > 1:
                await press(pilot, "escape")
    assert {name: found for name, found in wrong.items() if found} == {}
    assert {"HelpScreen", "ModelScreen", "BreakpointScreen", "ValueScreen", "KnobChoiceScreen"} <= seen


def test_the_environment_may_name_the_theme_of_high_contrast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WatchApp.theme, "_default", "high-contrast")
    app = WatchApp(WatchOptions(CAP), ScriptedLink)
    assert app.theme == "high-contrast"
    assert app.stylesheet._variables["background"] == "#000000"
