"""A paste of several lines: kept where lines make sense, else cut with a message."""

from __future__ import annotations

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.widgets import Input, Label

from engine.records import Settings
from remdm_tui.app import WatchApp
from remdm_tui.preferences.themes import readable_variables
from remdm_tui.screens.line import LineScreen
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.widgets.line_input import ASCII_NEWLINES, NEWLINES, LineInput, newline_sign
from tests.tui.scripted import ScriptedLink
from tests.waiting import seen

LINES = "first\nsecond\r\nthird"


class Themed(App[None]):
    """An application with the colours that dialogs are drawn in."""

    def get_css_variables(self) -> dict[str, str]:
        known = super().get_css_variables()
        return {**known, **readable_variables(known)}


@pytest.mark.parametrize("sign", [*NEWLINES, *ASCII_NEWLINES])
async def test_lines_are_kept_where_they_make_sense(sign: str) -> None:
    taken: list[str] = []
    app = Themed()
    async with app.run_test() as pilot:
        app.push_screen(LineScreen("title", "question", "old\nvalue", accept=taken.append, newline=sign))
        await pilot.pause()
        line = app.screen.query_one(LineInput)
        assert line.value == f"old{sign}value"
        line.post_message(events.Paste(LINES))
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
    assert taken == ["first\nsecond\nthird"]


@pytest.mark.parametrize("ascii_only", [False, True])
async def test_a_text_that_has_the_sign_of_a_line_break_comes_back_as_it_was(ascii_only: bool) -> None:
    app = App[None]()
    async with app.run_test():
        for text in ("a ↵ b\nc", "press ^J\nnow", "↵⏎ ^J<LF>\n", "no break", ""):
            assert LineInput(text, newline=newline_sign(text, ascii_only)).text == text


@pytest.mark.parametrize("sign", ["", "↵"])
async def test_only_a_line_break_ends_a_pasted_line(sign: str) -> None:
    app = App[None]()
    async with app.run_test() as pilot:
        line = LineInput(newline=sign)
        await app.mount(line)
        line.post_message(events.Paste("a\x0bb\x0cc\x85d\u2028e"))
        await pilot.pause()
        assert line.text == "a\x0bb\x0cc\x85d\u2028e"


async def test_what_was_copied_in_the_application_is_pasted_as_well() -> None:
    class OneLine(App[None]):
        def compose(self) -> ComposeResult:
            yield LineInput(newline=newline_sign("", ascii_only=False))

    app = OneLine()
    async with app.run_test() as pilot:
        app.copy_to_clipboard(LINES)
        await pilot.press("ctrl+v")
        assert app.query_one(LineInput).text == "first\nsecond\nthird"


KEYS = ("a", "F", "slash", "W", "w", "enter", "x", "m", "A")
"""What opens each box to type in."""


@pytest.mark.parametrize("key", KEYS)
async def test_no_box_cuts_a_paste_without_a_word(key: str) -> None:
    app = WatchApp(WatchOptions(Settings("remdm-cap"), steps=8, length=16, paused=True), ScriptedLink)
    async with app.run_test(size=(120, 40)) as pilot:
        await seen(pilot, lambda app: app.watching.has_record)
        # a box for a token asks at a position
        await pilot.press("v", key)
        await seen(pilot, lambda app: bool(app.screen.query(Input)))
        line = app.screen.query_one(Input)
        assert isinstance(line, LineInput)
        line.value = ""
        line.post_message(events.Paste(f"\n{LINES}"))
        await seen(pilot, lambda _: line.value)
        await pilot.pause()
        sentence = str(app.screen.query_one(".error", Label).content)
        if line.text.strip() == "first":
            assert sentence == "Only one line fits: 2 pasted lines left out"
        else:
            assert line.text == "\nfirst\nsecond\nthird"
            assert sentence == ""
