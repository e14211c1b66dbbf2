"""The line to the terminal: what waits, what one paint may come to, and that a slow one ends with the right picture."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Self

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Region

from engine.records import Change
from remdm_tui.render.text_layout import TokenTexts
from remdm_tui.render.typeset import Canvas
from remdm_tui.ui.metered_driver import LEAST, LONGEST, MeteredDriver, MeteredWriter, metered
from remdm_tui.widgets.token_grid import TokenGrid
from tests.tui.scripted import WORDS
from tests.tui.test_app import settle, watching
from tests.waiting import seen


class Line(io.StringIO):
    """Any number of bytes at once; time passes by `seconds` for each byte."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.now = seconds, 0.0
        self._end, self._begin = os.pipe()
        self.carried = b""

    def fileno(self) -> int:
        return self._begin

    def clock(self) -> float:
        """What was written since the last look has taken its time."""
        os.set_blocking(self._end, False)
        try:
            while data := os.read(self._end, 1 << 16):
                self.carried += data
                self.now += len(data) * self.seconds
        except BlockingIOError:
            pass
        return self.now

    def close(self) -> None:
        os.close(self._begin)
        os.close(self._end)


@pytest.fixture
def slow() -> Iterator[tuple[MeteredWriter, Line]]:
    line = Line(1 / 300_000)
    yield MeteredWriter(line, line.clock), line
    line.close()


def paint(metered_writer: MeteredWriter, size: int) -> None:
    metered_writer.submit("x" * size)
    metered_writer.write("x" * size)


def test_what_is_given_waits_until_it_is_written(slow: tuple[MeteredWriter, Line]) -> None:
    metered_writer, line = slow
    metered_writer.submit("é\x1b[0m")
    assert metered_writer.waiting
    metered_writer.write("é\x1b[0m")
    assert not metered_writer.waiting
    assert line.carried == "é\x1b[0m".encode()


def test_a_slow_line_has_room_for_what_it_carries_in_the_time_that_a_key_can_wait(
    slow: tuple[MeteredWriter, Line],
) -> None:
    metered_writer, _ = slow
    assert not metered_writer.narrow
    paint(metered_writer, 40_000)
    assert metered_writer.room == pytest.approx(300_000 * LONGEST, rel=0.01)
    assert metered_writer.narrow


def test_room_is_never_nothing(slow: tuple[MeteredWriter, Line]) -> None:
    metered_writer, line = slow
    line.seconds = 1.0
    for _ in range(3):
        paint(metered_writer, 40_000)
    assert metered_writer.room == LEAST


def test_a_line_that_gets_fast_again_is_given_all_again(slow: tuple[MeteredWriter, Line]) -> None:
    metered_writer, line = slow
    paint(metered_writer, 40_000)
    line.seconds = 0.0
    for _ in range(60):
        paint(metered_writer, min(metered_writer.room, 40_000))
    assert metered_writer.room > 40_000
    assert not metered_writer.narrow


def test_small_writes_say_nothing_about_how_much_a_line_carries(slow: tuple[MeteredWriter, Line]) -> None:
    metered_writer, _ = slow
    paint(metered_writer, 40_000)
    room = metered_writer.room
    for _ in range(50):
        paint(metered_writer, 10)
    assert metered_writer.room == room


def test_writes_to_nobody_are_not_waited_for(slow: tuple[MeteredWriter, Line]) -> None:
    metered_writer, line = slow
    line.fileno = lambda: -1  # type: ignore[method-assign]
    paint(metered_writer, 100)
    assert not metered_writer.waiting


def test_only_a_terminal_is_metered() -> None:
    assert metered(HeadlessDriver) is HeadlessDriver
    assert issubclass(metered(LinuxDriver), LinuxDriver)


class Driven(MeteredDriver, HeadlessDriver):
    """A driver without a terminal that says how fast its line is."""


async def test_what_is_drawn_is_fitted_to_what_the_line_of_the_driver_carries(
    slow: tuple[MeteredWriter, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = slow
    paint(writer, 30_000)
    assert writer.narrow
    app = watching(steps=8)
    rooms: list[int] = []
    monkeypatch.setattr(Driven, "writer", writer, raising=False)
    async with app.run_test() as pilot:
        monkeypatch.setattr(app, "_driver", Driven(app, size=app.size))
        await settle(pilot)
        draw = app.refresh_clock.presenter.draw_grids
        monkeypatch.setattr(
            app.refresh_clock.presenter, "draw_grids", lambda ready, room: rooms.append(room) or draw(ready, room)
        )
        await pilot.press("right")
        await settle(pilot)
        assert set(rooms) == {writer.room}


async def test_a_resting_screen_on_a_slow_line_is_not_woken_by_its_own_clock(
    slow: tuple[MeteredWriter, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = slow
    paint(writer, 30_000)
    app = watching(steps=8)
    monkeypatch.setattr(Driven, "writer", writer, raising=False)
    async with app.run_test() as pilot:
        monkeypatch.setattr(app, "_driver", Driven(app, size=app.size))
        await settle(pilot)
        clock = app.refresh_clock
        # as after the panels have stood for a while
        clock._panelled -= 1
        clock._listen()
        assert clock.resting


def canvas(length: int, seed: int) -> Canvas:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 10, length).astype(np.int32)
    return Canvas(tokens, np.full(length, Change.HELD, np.uint8), np.full(length, 0.5, np.float32), tokens)


async def test_a_grid_without_room_for_all_of_a_step_draws_it_in_parts_until_it_is_whole() -> None:
    requested: list[set[int]] = []

    class Asking(TokenGrid):
        def refresh(self, *regions: Region, **more: bool) -> Self:
            requested.append({region.y for region in regions})
            return super().refresh(*regions, **more)

    class GridApp(App[None]):
        def compose(self) -> ComposeResult:
            yield Asking()

    app = GridApp()
    async with app.run_test(size=(60, 20)) as pilot:
        grid = app.query_one(Asking)
        grid.use_pieces(TokenTexts.of(WORDS))
        grid.show(canvas(200, 0))
        await seen(pilot, lambda _: grid._strips)
        requested.clear()
        grid.show(canvas(200, 1), room=300)
        while not grid.whole:
            await pilot.pause()
            grid.go_on(room=300)
        rows = set(range(len(grid._page.keys)))
        assert all(0 < len(part) < len(rows) for part in requested)
        assert all(grid._drawn_keys[row] == grid._key(row) for row in rows)
        await pilot.pause()
        shown = [grid.render_line(y).text for y in range(grid.size.height)]
        grid._strips.clear()
        assert shown == [grid.render_line(y).text for y in range(grid.size.height)]


async def test_no_line_is_longer_than_the_room_beside_a_scrollbar_that_has_just_come() -> None:
    class GridApp(App[None]):
        def compose(self) -> ComposeResult:
            yield TokenGrid()

    app = GridApp()
    async with app.run_test(size=(60, 20)) as pilot:
        grid = app.query_one(TokenGrid)
        grid.use_pieces(TokenTexts.of(WORDS))
        await pilot.pause()
        for length in (2000, 100, 1999):
            grid.show(canvas(length, 0))
            await pilot.pause()
            assert max(grid._page.used) <= grid.scrollable_content_region.width
        assert grid.show_vertical_scrollbar
        grid.message("loading")
        await pilot.pause()
        assert not grid.show_vertical_scrollbar
        grid.show(canvas(2000, 0))
        await pilot.pause()
        assert max(grid._page.used) == grid.scrollable_content_region.width == 59
