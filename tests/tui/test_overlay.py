"""Screens that open while the application ends: Textual tells them that they are mounted, but mounts no widgets."""

from __future__ import annotations

import pytest
from textual.events import Key
from textual.widgets import Input

from tests.tui.test_app import settle, watching
from tests.waiting import seen


@pytest.mark.parametrize("opening", ["about", "breakpoints", "command", "help", "keep", "model", "overview", "runs"])
async def test_a_screen_that_opens_while_the_application_ends_does_not_fail(opening: str) -> None:
    app = watching(steps=4, batch=2)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        shown = len(app.screen_stack)
        node = app if opening == "runs" else app.main
        getattr(node, f"action_{opening}")()
        assert len(app.screen_stack) == shown + 1
        app.exit()
    assert app.return_code == 0


@pytest.mark.parametrize("opening", ["about", "breakpoints", "command", "help", "keep", "model", "overview", "runs"])
async def test_escape_may_close_a_screen_before_it_is_drawn(opening: str) -> None:
    app = watching(steps=4, batch=2)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        node = app if opening == "runs" else app.main
        getattr(node, f"action_{opening}")()
        app.screen.dismiss()
        await settle(pilot)
        assert app.screen is app.main


async def test_keys_that_are_typed_while_a_screen_opens_are_for_that_screen() -> None:
    app = watching(steps=4)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.main.action_command()
        for letter in "eta":
            app.post_message(Key(letter, letter))
        await seen(pilot, lambda app: [line.value for line in app.screen.query(Input)] == ["eta"])
        app.screen.dismiss()
        await settle(pilot)
        app.main.action_help()
        app.post_message(Key("down", None))
        await seen(pilot, lambda app: app.screen.options.highlighted is not None)
