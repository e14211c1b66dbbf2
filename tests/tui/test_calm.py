"""Nothing moves but the run: the place of a token follows from the size and from the tokens before it."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sampling.trace import Trace
from remdm_tui.app import WatchApp
from remdm_tui.render.text_layout import flow
from remdm_tui.render.text_lines import Lines
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.panel_data import reading
from remdm_tui.widgets.figures import figures_line
from tests.engine.recordings import busy_frames
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, settle

TOKENS = st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.booleans()), min_size=1, max_size=80)
SIZES = st.tuples(st.integers(1, 200), st.integers(1, 60))


def cells(tokens, lines):
    """The cell of each of some tokens, given as (width, starts a word, ends a line)."""
    widths, starts, breaks = (np.array(column) for column in zip(*tokens, strict=True))
    ends = [0, *np.cumsum(widths).tolist()]
    rows = flow(ends, starts.astype(bool), breaks.astype(bool), lines.width)
    return [lines.cell_of(position, ends, rows) for position in range(len(tokens))]


@given(TOKENS, TOKENS, SIZES, st.integers(1, 400))
def test_the_place_of_a_word_follows_from_the_size_and_what_is_before_its_end(before, after, size, length):
    lines = Lines.of(length, *size)
    # the word that ends `before` begins here: whether it fits its line, what follows does not say
    whole = max((i for i, (_, starts, _) in enumerate(before) if starts), default=0)
    ended = [*before, (1, True, False)]
    first, second = cells(ended, lines), cells([*ended, *after], lines)
    assert second[: len(before)] == first[: len(before)]
    assert cells(before, lines)[:whole] == first[:whole]


@given(st.integers(1, 2000), SIZES, st.integers(0, 500))
def test_every_line_has_a_row_of_its_own_on_the_screen(length, size, count):
    lines = Lines.of(length, *size)
    places = [lines.place(line) for line in range(count)]
    assert len(set(places)) == count
    for line, (x, y) in enumerate(places):
        assert line in lines.lines_of(y)
        assert lines.under(x, y) == (line, 0)
        assert 0 <= x <= size[0] - lines.width
    assert lines.height(count) == max((y + lines.spacing for _, y in places), default=0)


@pytest.mark.parametrize(
    ("length", "size", "shape"),
    [(128, (76, 34), (1, 2)), (128, (76, 14), (1, 1)), (1024, (142, 34), (2, 1)), (1024, (119, 34), (1, 1))],
)
def test_short_texts_are_set_apart_and_long_ones_stand_in_two_columns(length, size, shape):
    lines = Lines.of(length, *size)
    assert (lines.across, lines.spacing) == shape


ACTIONS = (
    "left", "left", "right", "right", "g", "G", "v", "right_parenthesis", "ctrl+down", "o", "asterisk", "escape", "I",
    "2", "C", "j", "plus", "minus", "e", "s", "question_mark", "V", "M", "x", "colon", "slash", "d", "f", "Z",
)  # fmt: skip


@pytest.mark.parametrize(("size", "seed"), [((120, 40), 1), ((60, 20), 4)])
async def test_no_action_moves_a_token(size, seed):
    """The text stands where it stood; a token of the same step is at the same cell, whatever was opened meanwhile."""
    app = WatchApp(WatchOptions(CAP, steps=24, length=96, paused=True), ScriptedLink, clock=lambda: 0.0)
    actions = random.Random(seed)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("G", "escape", *["right"] * 12)
        await settle(pilot)
        grid, footer = app.main.panes.active, app.main.query_one("KeyFooter")
        places = grid.region, app.main.banner.region, app.main.status.region, footer.region
        seen = {}
        for _ in range(14):
            key = actions.choice(ACTIONS)
            await pilot.press(key)
            await settle(pilot)
            if app.screen is not app.main:
                await pilot.press("escape")
                await settle(pilot)
            if not grid.size.height:  # the map alone
                continue
            now = grid.region, app.main.banner.region, app.main.status.region, footer.region
            assert now == places, key
            session = app.watching
            at = [grid.cell_of(position) for position in range(96)]
            step = tuple(session.trace.change(session.position, 0)), tuple(session.trace.tokens(session.position, 0))
            assert seen.setdefault(step, at) == at, key


async def test_the_text_stands_as_before_after_panes_and_the_map_alone():
    app = WatchApp(WatchOptions(CAP, steps=24, length=400, paused=True), ScriptedLink, clock=lambda: 0.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 6, "pagedown")
        await settle(pilot)
        grid = app.main.panes.active
        before = grid.region, grid.scroll_offset, [grid.cell_of(position) for position in range(400)]
        assert grid.scroll_offset.y
        await pilot.press("2")
        await settle(pilot)
        assert app.main.panes.active_map.size.height
        assert not grid.size.height
        await pilot.press("2")
        await settle(pilot)
        assert (grid.region, grid.scroll_offset, [grid.cell_of(position) for position in range(400)]) == before


async def test_the_first_steps_move_nothing():
    # one row less, and the lines of this text would be set closer
    app = WatchApp(WatchOptions(CAP, steps=24, length=96, paused=True), ScriptedLink, clock=lambda: 0.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 6)
        await settle(pilot)
        main, places = app.main, []
        for key in ("left", "V", "escape"):
            await pilot.press(key)
            await settle(pilot)
            regions = [part.region for part in (main.panes.active, main.timeline, main.banner, main.status)]
            places.append((len(main.query("#tour")), regions, [main.panes.active.cell_of(n) for n in range(96)]))
        assert [shown for shown, *_ in places] == [0, 1, 0]
        assert places[0][1:] == places[1][1:] == places[2][1:]


@pytest.mark.parametrize("position", [0, 95])
async def test_the_inspector_leaves_its_token_in_sight(position):
    app = WatchApp(WatchOptions(CAP, steps=24, length=96, paused=True), ScriptedLink, clock=lambda: 0.0)
    async with app.run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 12)
        app.main.text.look_at(position)
        await settle(pilot)
        await settle(pilot)
        grid, inspector = app.main.panes.active, app.main.text.inspector
        assert inspector.region.height > 0
        row = grid.row_on_screen(position)
        assert grid.region.y <= row < grid.region.bottom
        assert not inspector.region.y <= row < inspector.region.bottom


SIZES_IN_TURN = ((120, 40), (200, 60), (80, 24), (60, 20), (200, 60))


def drawn(app):
    """Every row of the screen as text, without the thumb of the scrollbar: its length follows the steps seen before."""
    rows = (strip.text for strip in app.screen._compositor.render_strips())
    return [row.translate(dict.fromkeys(map(ord, "▁▂▃▄▅▆▇█"), " ")).rstrip() for row in rows]


async def step_and_press(pilot, keys):
    """Take six steps, then press keys."""
    await settle(pilot)
    await pilot.press(*["right"] * 6)
    await settle(pilot)
    await pilot.press(*keys)
    for _ in range(3):
        await settle(pilot)


@pytest.mark.parametrize("keys", [(), ("asterisk",)], ids=["paused", "inspecting"])
async def test_a_resized_screen_is_that_of_a_start_at_the_size(keys):
    def app():
        return WatchApp(WatchOptions(CAP, steps=24, length=96, paused=True), ScriptedLink, clock=lambda: 0.0)

    fresh = {}
    for size in set(SIZES_IN_TURN):
        one = app()
        async with one.run_test(size=size) as pilot:
            await step_and_press(pilot, keys)
            fresh[size] = drawn(one)
    resized = app()
    async with resized.run_test(size=SIZES_IN_TURN[0]) as pilot:
        await step_and_press(pilot, keys)
        for size in SIZES_IN_TURN[1:]:
            await pilot.resize_terminal(*size)
            for _ in range(3):
                await settle(pilot)
            assert drawn(resized) == fresh[size], size


@pytest.mark.parametrize("width", range(10, 90, 4))
def test_a_line_of_figures_holds_whole_figures(width):
    start, frames = busy_frames(8, 96, 1)
    trace = Trace(start)
    for frame in frames:
        trace.append(frame)
    whole = figures_line(reading(trace, 8, 0, 1.0), 500).split("   ")
    line = figures_line(reading(trace, 8, 0, 1.0), width)
    assert len(line) <= width
    assert set(line.split("   ")) <= {*whole, ""}
    assert line or width < len(whole[0])


async def test_a_small_terminal_has_its_figures_in_one_line():
    app = WatchApp(WatchOptions(CAP, steps=24, length=96, paused=True), ScriptedLink, clock=lambda: 0.0)
    async with app.run_test(size=(60, 20)) as pilot:
        await step_and_press(pilot, ())
        line = next(row for row in drawn(app) if "masked 62/96" in row and "entropy 2.65" in row)
        assert "│" not in line


def test_a_person_makes_the_window_larger_and_smaller(terminal):
    person = terminal("watch", "--paused", "--seed", "1", "--steps", "16", "--length", "64")
    person.wait(lambda screen: "paused 0/16" in screen)
    person.press("\x1b")
    for columns, rows in ((200, 60), (80, 24), (60, 20), (120, 40)):
        person.resize(columns, rows)

        def fits(screen, columns=columns, rows=rows):
            lines = screen.splitlines()
            # header and frame reach the edge, and the footer is at the bottom
            header = lines[0].rstrip()
            framed = any(len(line.rstrip()) == columns and line.rstrip()[-1] in "╮╯│" for line in lines)
            return len(header) == columns - 1 and framed and "Quit" in lines[rows - 1] and "░" in screen

        person.wait(fits)
    person.press("q")
    assert person.exit_code() == 0
