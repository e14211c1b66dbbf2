"""What is painted bit by bit is what a whole repaint shows."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.screen import Screen
from textual.strip import Strip

from remdm_tui.widgets.compositor import PartsUpdate
from remdm_tui.widgets.strips import CellStrip, RunStrip
from tests.tui.test_app import settle, watching
from tests.tui.test_panes import MDLM, comparing
from tests.waiting import seen

STYLES = [Style(), Style(color="red"), Style(color="red", bgcolor="blue"), Style(bold=True)]
CONSOLE = Console(color_system="truecolor")

WALK = (
    *["right"] * 3, "left", "end", "enter", "escape", "2", "down", "right", "plus", "shift+right", "right",
    "C", "left", "0", "d", "right", "d", "right", "d", "left", "2", "2", "question_mark", "escape",
    "colon", "4", "enter", "3", "3", "right", "C", "right",
)  # fmt: skip
"""Keys that move the step, the cursor and the map, and open and close what covers them."""


class Paper:
    """A terminal that gets everything that an application writes to its own."""

    def __init__(self, app, columns: int, rows: int) -> None:
        self.app, self.size = app, (columns, rows)
        self.screen = pyte.Screen(columns, rows)
        self.partial = 0

    def display(self, screen: Screen[object], update) -> None:
        if update is not None:
            self.partial += isinstance(update, PartsUpdate)
            pyte.Stream(self.screen).feed(update.render_segments(self.app.console))

    def whole(self) -> pyte.Screen:
        """Return what a repaint of everything gives."""
        shown = pyte.Screen(*self.size)
        stack, compositor = self.app._background_screens, self.app.screen._compositor
        changed = compositor._dirty_regions.copy()
        update = compositor.render_update(full=True, screen_stack=stack)
        compositor._dirty_regions |= changed
        pyte.Stream(shown).feed(update.render_segments(self.app.console))
        return shown


def cells(screen: pyte.Screen):
    return [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]


async def walk(app, keys, size) -> int:
    """Press keys; after each the screen is what a whole repaint gives.  Return how many small paints there were."""
    paper = Paper(app, *size)
    app._display = paper.display
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
            # Textual paints a moment after it was told to, and what it has not been told of it never paints
            await seen(pilot, lambda app: cells(paper.screen) == cells(paper.whole()))
    return paper.partial


async def test_every_key_leaves_the_screen_that_a_whole_repaint_shows():
    assert await walk(watching(length=64, steps=64), WALK, (120, 40)) > len(WALK) // 2


@pytest.mark.parametrize(
    ("made", "keys", "size"),
    [
        (lambda: watching(length=64, steps=64), WALK[:16], (80, 24)),
        (lambda: watching(length=1024, steps=64), ("right", "right", "pagedown", "right", "up", "left"), (80, 24)),
        (lambda: comparing(None, MDLM), WALK[:16], (120, 40)),
    ],
    ids=["small", "scrolled", "panes"],
)
async def test_so_does_every_key_on_a_small_screen_beside_a_scrollbar_and_with_panes(made, keys, size):
    assert await walk(made(), keys, size)


lines = st.lists(st.tuples(st.sampled_from("▀▄ ⣿x"), st.sampled_from(STYLES)), min_size=1, max_size=30)


@given(lines, st.integers(-1, 32), st.none() | st.integers(-1, 32), st.lists(st.integers(0, 32), max_size=4))
def test_a_strip_of_cells_is_cut_and_written_as_any_other(line, start, end, cuts):
    segments = [Segment(text, style) for text, style in line]
    cut, plain = CellStrip(segments), Strip(segments, len(segments))
    assert cut.crop(start, end).simplify() == plain.crop(start, end).simplify()
    assert cut.render(CONSOLE) == plain.simplify().render(CONSOLE)
    edges = sorted({*cuts, len(line)} - {0})
    ours, theirs = cut.divide(edges), plain.divide(edges)
    assert [part.simplify() for part in ours] == [part.simplify() for part in theirs]
    assert [part.cell_length for part in ours] == [part.cell_length for part in theirs]


@given(st.lists(st.tuples(st.text("ab ░", min_size=1, max_size=4), st.sampled_from(STYLES)), min_size=1, max_size=9))
def test_runs_are_written_and_cut_as_segments(line):
    segments = [Segment(text, style) for text, style in line]
    cells = sum(len(text) for text, _ in line)
    runs, plain = RunStrip([text for text, _ in line], [style for _, style in line], cells), Strip(segments, cells)
    # a style keeps its sequence from the first time that it is written
    assert runs.render(CONSOLE) == plain.render(CONSOLE)
    assert list(runs) == segments
    assert (runs.text, runs.cell_length, len(runs), bool(runs)) == (plain.text, cells, len(line), True)
    assert runs.crop(1, cells) == plain.crop(1, cells)
    assert runs.divide([1, cells]) == plain.divide([1, cells])
