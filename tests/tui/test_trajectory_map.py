"""The map on the screen: it follows the run, marks where one is, and leads to the token that a cell stands for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from engine.sampling.trace import Trace
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.plate_modes import MODES
from remdm_tui.render.text_lines import MOST, ROOMY, Split
from remdm_tui.render.viewport import Viewport, zoom
from remdm_tui.widgets.map_cells import MapCells
from remdm_tui.widgets.token_grid import TokenGrid
from remdm_tui.widgets.trajectory_map import map_title
from tests.engine.recordings import busy_frames
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import settle, watching
from tests.tui.test_panes import MDLM, comparing
from tests.waiting import seen


def cells_of(app, number=0) -> MapCells:
    return app.main.panes.maps[number].cells


def picture(cells: MapCells):
    return [[(s.text, s.style) for s in cells.render_line(y)] for y in range(cells.size.height)]


async def ahead(pilot, steps):
    await pilot.press(*["right"] * steps)
    await settle(pilot)


async def test_the_map_is_below_the_text_and_one_step_paints_its_own_column_alone(monkeypatch):
    painted = []
    async with watching(length=64, steps=64).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ahead(pilot, 5)
        cells = cells_of(pilot.app)
        assert cells.size.height > 8
        assert pilot.app.query_one("#grid").region.bottom <= cells.region.y
        assert pilot.app.main.panes.maps[0].border_title.startswith("2 map: 64 positions x 64 steps")
        before = picture(cells)
        refresh = cells.refresh
        monkeypatch.setattr(cells, "refresh", lambda *regions, **more: painted.extend(regions) or refresh(*regions))
        await ahead(pilot, 1)
        assert painted
        columns = {x for region in painted for x in range(region.x, region.right)}
        # the step on screen, and the one that was
        assert columns <= {cells.size.width * step // 65 + d for step in (5, 6) for d in (0, 1)}
        assert picture(cells) != before


async def test_what_was_painted_step_by_step_is_what_a_whole_repaint_gives():
    async with watching(length=40, steps=48).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ahead(pilot, 9)
        await pilot.press("left")
        await settle(pilot)
        cells = cells_of(pilot.app)
        stepwise = picture(cells)
        cells.recolour()
        cells._pool = None
        cells._again()
        assert picture(cells) == stepwise


async def test_a_click_goes_to_the_step_and_opens_the_story_of_the_token():
    async with watching(length=64, steps=64).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ahead(pilot, 12)
        app, cells = pilot.app, cells_of(pilot.app)
        record = app.watching.trace
        lost = [(step, int(i)) for step in range(2, 12) for i in np.flatnonzero(record.change(step, 0) == 3)]
        step, position = lost[0]
        y = position * cells.size.height * 2 // 64 // 2
        x = -(-step * cells.size.width // 65)
        await pilot.click(cells, offset=(x, y))
        await settle(pilot)
        assert app.watching.player.position == step
        # of the positions of a cell, one in the worst state
        at = app.watching.debug.inspector.at
        assert record.change(step, 0)[at] == 3
        assert app.main.text.inspector.display
        await pilot.press("down")
        await settle(pilot)
        assert app.watching.debug.inspector.at == at + 1
        await pilot.press("right")
        await settle(pilot)
        assert app.watching.player.position == step + 1


async def test_the_key_focuses_the_map_then_shows_it_alone_then_the_text_again():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        cells, grid = cells_of(pilot.app), pilot.app.query_one(TokenGrid)
        height = grid.size.height
        await pilot.press("2")
        await seen(pilot, lambda app: cells.has_focus)
        await pilot.press("2")
        await seen(pilot, lambda app: not grid.size.height and cells.has_focus)
        await pilot.press("2")
        await seen(pilot, lambda app: grid.size.height == height)
        assert not cells.has_focus


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_where_there_is_no_room_the_key_shows_the_map_in_place_of_the_text(size):
    async with watching().run_test(size=size) as pilot:
        await settle(pilot)
        await ahead(pilot, 3)
        cells, grid = cells_of(pilot.app), pilot.app.query_one(TokenGrid)
        assert not cells.size.height
        await pilot.press("2")
        await seen(pilot, lambda app: cells.size.height > 8 and cells.has_focus and app.refresh_clock.resting)
        assert not grid.size.height
        await pilot.press("2")
        await seen(pilot, lambda app: grid.size.height > 8)


async def test_keys_of_the_map_work_on_it_alone_and_the_others_as_ever():
    async with watching(length=64, steps=64).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ahead(pilot, 2)
        app, cells = pilot.app, cells_of(pilot.app)
        await pilot.press("2")
        await seen(pilot, lambda app: cells.has_focus)
        await pilot.press("plus")
        assert (cells.view.rows, cells.view.columns) == (32, 32)
        await pilot.press("shift+right", "shift+down")
        assert (cells.view.left, cells.view.top) == (6, 20)
        await pilot.press("0", "C")
        assert cells.view.is_whole
        assert cells.mode is MODES["confidence"]
        await pilot.press("d")
        assert cells.marks is paint.QUADRANT
        before = app.watching.settings
        await pilot.press("escape")
        await seen(pilot, lambda app: not cells.has_focus)
        await pilot.press("plus")
        assert cells.view.is_whole
        assert app.watching.settings.strategy != before.strategy
        # the same key colours text and map wherever the focus is
        for mode in ("age", "times remasked", "times edited", "sigma", "entropy", "state"):
            await pilot.press("C")
            assert app.main.panes.mode is MODES[mode]
            assert cells.mode is MODES["state" if mode == "entropy" else mode]


async def test_the_wheel_zooms_where_the_pointer_is_and_with_shift_moves():
    async with watching(length=64, steps=64).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ahead(pilot, 2)
        cells = cells_of(pilot.app)
        await pilot._post_mouse_events([events.MouseScrollUp], cells, offset=(10, 3))
        first = cells.view
        assert first.columns == 43
        assert first.left <= 10 * 65 // cells.size.width < first.left + first.columns


async def test_each_pane_has_a_map_and_all_show_the_same_part():
    async with comparing(None, MDLM).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ahead(pilot, 4)
        one, other = cells_of(pilot.app, 0), cells_of(pilot.app, 1)
        await seen(pilot, lambda app: one.size.height > 5 and other.size.height > 5)
        await pilot.press("2")
        await seen(pilot, lambda app: one.has_focus)
        await pilot.press("plus", "C")
        await seen(pilot, lambda app: other.mode is MODES["confidence"] and one.view == other.view)
        assert not other.view.is_whole


async def test_ascii_maps_are_ascii_and_distinguish_the_states():
    async with watching(ascii=True).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ahead(pilot, 9)
        cells = cells_of(pilot.app)
        text = "".join(cells.render_line(y).text for y in range(cells.size.height))
        assert text.isascii()
        assert {"_", "o", "x", " "} <= set(text)
        assert "x remasked" in pilot.app.main.panes.maps[0].border_title


async def test_without_colour_signs_distinguish_the_states(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ahead(pilot, 9)
        cells = cells_of(pilot.app)
        text = "".join(cells.render_line(y).text for y in range(cells.size.height))
        assert {"░", "+", "╳", " "} <= set(text)


async def test_the_text_stays_where_it_is_while_the_run_goes_on_below_it():
    async with watching(ScriptedLink(), length=64, steps=64).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        grid = pilot.app.query_one(TokenGrid)
        places = set()
        for _ in range(8):
            await ahead(pilot, 1)
            places.add((grid.region, cells_of(pilot.app).region))
        assert len(places) == 1


async def test_a_long_run_is_read_a_bit_at_a_time_until_all_is_there():
    start, frames = busy_frames(600, 64, 3)
    trace = Trace(start)
    for frame in frames:
        trace.append(frame)
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        cells = cells_of(pilot.app)
        for _ in range(1000):
            if cells.show(trace, 0, 600, 600, None):
                break
        assert cells._plates[0].length == 601
        cells.show(trace, 0, 600, 600, None)
        assert cells._pool.length == 601
        # another record and back: nothing is read again
        cells.show(pilot.app.watching.trace, 0, 32, 0, None)
        assert cells.show(trace, 0, 600, 600, None)


def test_the_map_stands_where_it_is_larger():
    # a short text has its lines set apart, and a few rows more than it needs
    assert Split.of(128, 142, 58) == Split(142, 18)
    assert Split.of(128, 78, 33) == Split(78, 13)
    assert Split.of(1024, 142, 58) == Split(142, 34)
    assert Split.of(512, 142, 36) == Split(87, 36, beside=True)


@given(st.integers(1, 4096), st.integers(20, 300), st.integers(8, 90))
def test_text_and_map_share_all_of_a_pane(positions, width, height):
    split = Split.of(positions, width, height)
    assert 0 < split.width <= width
    assert 0 < split.height <= height
    assert split.height == height if split.beside else split.width == width
    # the text has room for all its tokens, or the larger part
    assert split.beside or positions * ROOMY <= width * split.height or split.height >= int(MOST * height)


@pytest.mark.parametrize("room", range(30, 200, 7))
def test_a_title_leaves_out_what_has_no_room_and_cuts_no_number(room):
    view = zoom(Viewport.whole(1024, 4097), 4, 500, 2000)
    title = map_title(view, MODES["age"], paint.HALF, room)
    parts = ["map: 1024 positions x 4096 steps", "age", "zoom 4", "positions 375-630, steps 1501-2524"]
    shown = title.split(" - ")
    assert shown[0] == parts[0]
    assert all(part in [*parts, MODES["age"].legend] for part in shown)
    assert len(title) <= max(room, len(parts[0]))


async def test_a_zoom_into_columns_that_cannot_be_read_is_no_crash(monkeypatch):
    async with watching(length=64, steps=64).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ahead(pilot, 3)
        cells = cells_of(pilot.app)

        def damaged(*_):
            raise ValueError("damaged from byte 7")
            yield

        monkeypatch.setattr("remdm_tui.render.plate.Plate.columns", damaged)
        cells.action_zoom(2)
        cells.on_click(events.Click(cells, 1, 1, 0, 0, 1, False, False, False))
        monkeypatch.undo()
        await settle(pilot)
        assert cells.view == zoom(Viewport.whole(64, 65), 2, 32, 3)
        assert picture(cells)
