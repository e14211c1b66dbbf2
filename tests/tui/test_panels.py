"""The digits: each goes to its panel, zooms it, and gives the room back."""

import pytest

from remdm_tui.widgets.token_grid import TokenGrid
from tests.tui.test_app import settle, watching, written
from tests.waiting import seen

NAMES = {"1": "text", "2": "map", "3": "step", "4": "knobs", "5": "curves"}


def widget(app, name):
    main = app.main
    return {
        "text": main.panes.active, "map": main.panes.active_map.cells, "step": main.figures, "knobs": main.knobs,
        "curves": main.curves,
    }[name]  # fmt: skip


def on_screen(app):
    return {name for name in NAMES.values() if (one := widget(app, name)).is_on_screen and one.size.height}


async def test_a_digit_goes_to_its_panel_zooms_it_and_gives_the_room_back():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert on_screen(pilot.app) == set(NAMES.values())
        for digit, name in NAMES.items():
            await pilot.press(digit)
            await seen(pilot, lambda app, name=name: widget(app, name).has_focus)
            assert on_screen(pilot.app) == set(NAMES.values())
            await pilot.press(digit)
            await seen(pilot, lambda app, name=name: on_screen(app) == {name} and widget(app, name).has_focus)
            await pilot.press(digit)
            await seen(pilot, lambda app: on_screen(app) == set(NAMES.values()))
            assert pilot.app.main.focused is None


async def test_another_digit_leaves_a_zoomed_panel_and_escape_gives_its_room_back():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("5", "5")
        await seen(pilot, lambda app: on_screen(app) == {"curves"})
        await pilot.press("3")
        await seen(pilot, lambda app: app.main.figures.has_focus and on_screen(app) == set(NAMES.values()))
        await pilot.press("1", "1")
        await seen(pilot, lambda app: on_screen(app) == {"text"})
        await pilot.press("escape")
        await seen(pilot, lambda app: on_screen(app) == set(NAMES.values()))


async def test_on_a_small_terminal_panels_are_drawers_over_the_right_half_and_move_no_token():
    async with watching().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        grid = pilot.app.query_one(TokenGrid)
        region = grid.region
        assert on_screen(pilot.app) == {"text"}
        assert region.width > 70
        for digit in "345":
            name = NAMES[digit]
            await pilot.press(digit)
            await seen(pilot, lambda app, name=name: widget(app, name).has_focus)
            await seen(pilot, lambda app, name=name: on_screen(app) == {"text", name})
            assert widget(pilot.app, name).region.x >= 40
            assert grid.region == region
        await pilot.press("5")
        await seen(pilot, lambda app: on_screen(app) == {"curves"})
        await pilot.press("5")
        await seen(pilot, lambda app: on_screen(app) == {"text"})
        await pilot.press("3", "escape")
        await seen(pilot, lambda app: on_screen(app) == {"text"})


async def test_a_low_terminal_shows_the_curves_beside_the_text_when_they_are_wanted():
    async with watching().run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        assert on_screen(pilot.app) == {"text", "step", "knobs"}
        width = pilot.app.query_one(TokenGrid).size.width
        await pilot.press("5")
        await seen(pilot, lambda app: on_screen(app) == {"text", "curves"})
        assert pilot.app.query_one(TokenGrid).size.width == width
        # what opens is drawn with the next frame
        await seen(pilot, lambda app: "masked" in written(app.main.curves))


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_titles_name_the_digit(size):
    async with watching().run_test(size=size) as pilot:
        await settle(pilot)
        main = pilot.app.main
        assert str(main.text.border_title).startswith("1 ")
        assert str(main.knobs_box.border_title) == "4 knobs"
        assert str(main.query_one("#figures-box").border_title).startswith("3 ")
        assert str(main.query_one("#curves-box").border_title).startswith("5 ")
