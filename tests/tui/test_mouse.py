"""The mouse on the text: the right button opens the menu of a token, a drag marks tokens for copying."""

from textual import events

from remdm_tui.screens.token_menu import TokenMenu
from tests.tui.test_app import banner, settle, watching
from tests.tui.test_panes import stepped
from tests.waiting import seen


async def mouse(pilot, kind, x, y, button):
    await pilot._post_mouse_events([kind], pilot.app.main.panes.active, offset=(x, y), button=button)


async def menu(pilot):
    grid = pilot.app.main.panes.active
    await pilot._post_mouse_events([events.MouseDown, events.MouseUp, events.Click], grid, offset=(9, 0), button=3)
    await seen(pilot, lambda app: isinstance(app.screen, TokenMenu) and app.screen.options.option_count == 8)


async def test_the_right_button_opens_the_menu_of_the_token():
    async with watching().run_test(size=(80, 24)) as pilot:
        await stepped(pilot, 4)
        await menu(pilot)
        at = pilot.app.watching.debug.inspector.at
        assert at is not None
        await pilot.press("enter")
        await seen(pilot, lambda app: [stop.text for stop in app.watching.debug.breakpoints.listed] == [f"at {at}"])
        await menu(pilot)
        await pilot.press(*"predi", "enter")
        await seen(pilot, lambda app: app.watching.debug.inspector.shows_prediction)
        await menu(pilot)
        await pilot.press("escape")
        await seen(pilot, lambda app: app.screen is app.main)


async def test_a_drag_marks_tokens_which_are_copied_alone():
    async with watching().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await seen(pilot, lambda app: app.watching.player.done)
        await settle(pilot)
        app, grid = pilot.app, pilot.app.main.panes.active
        await mouse(pilot, events.MouseDown, 0, 0, 1)
        await mouse(pilot, events.MouseMove, 12, 0, 1)
        await mouse(pilot, events.MouseUp, 12, 0, 1)
        await seen(pilot, lambda app: "y copies them" in banner(app))
        marked = grid.marked
        assert len(marked) > 1
        await pilot.press("y")
        await seen(pilot, lambda app: "Copied" in banner(app))
        tokens = app.watching.trace.tokens(app.watching.position, 0)[marked.start : marked.stop]
        assert app.clipboard == "".join(app.watching.model.pieces[token] for token in tokens)
        await pilot.press("escape")
        await seen(pilot, lambda app: not grid.marked)
