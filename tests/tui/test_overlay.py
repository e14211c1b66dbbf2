"""Screens that open while the application ends: Textual tells them that they are mounted, but mounts no widgets."""

from __future__ import annotations

import pytest

from tests.tui.test_app import settle, watching


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
