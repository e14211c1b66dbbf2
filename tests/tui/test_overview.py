"""The table of samples and of panes: figures at the step on screen, sorted, filtered, and a row opened."""

import math

import numpy as np
import pytest

from engine.records import Change
from remdm_tui.screens.overview import OverviewScreen
from remdm_tui.watch.overview import OverviewRow, sorted_rows
from remdm_tui.widgets.curves import LINES, CurvesPanel
from tests.tui.test_app import banner, settle, watching
from tests.tui.test_panes import MDLM, STRONG, comparing, stepped
from tests.waiting import seen


def lines(app):
    screen = app.screen
    return [str(screen.options.get_option_at_index(i).prompt) for i in range(screen.options.option_count)]


async def opened(pilot, count):
    await pilot.press("J")
    await seen(pilot, lambda app: isinstance(app.screen, OverviewScreen) and len(lines(app)) == count)


async def test_all_samples_are_listed_sorted_and_one_is_opened():
    async with watching(batch=5).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 8)
        app, record = pilot.app, pilot.app.watching.trace
        await opened(pilot, 5)
        masked = [int(np.isin(record.change(8, i), (Change.MASKED, Change.REMASKED)).sum()) for i in range(5)]
        remasks = [int(record.curves.column("remasked", i)[:8].sum()) for i in range(5)]
        assert [row.split()[:4] for row in lines(app)] == [
            [str(i + 1), str(masked[i]), str(remasks[i]), "1.6"] for i in range(5)
        ]
        await pilot.press("tab", "tab")
        await pilot.pause()
        found = [int(row.split()[0]) - 1 for row in lines(app)]
        assert [remasks[i] for i in found] == sorted(remasks, reverse=True)
        assert "remasks▼" in str(app.screen.query_one("#heads").render())
        await pilot.press("ctrl+r", "down", "enter")
        await seen(pilot, lambda app: not isinstance(app.screen, OverviewScreen))
        assert app.watching.player.position == 8


async def test_words_of_a_text_leave_its_samples_alone():
    async with watching(batch=3).run_test(size=(80, 24)) as pilot:
        await stepped(pilot, 8)
        await opened(pilot, 3)
        await pilot.press(*"no such words")
        await seen(pilot, lambda app: lines(app) == [])
        await pilot.press("enter", "ctrl+u", "2")
        await seen(pilot, lambda app: [row.split()[0] for row in lines(app)] == ["2"])
        await pilot.press("enter")
        await seen(pilot, lambda app: app.watching.sample == 1)


async def test_panes_are_compared_in_a_table_and_enter_goes_to_one():
    async with comparing(None, MDLM, STRONG, steps=6).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await seen(pilot, lambda app: app.watching.player.done)
        await seen(pilot, lambda app: "All panes ended. J: their figures" in banner(app))
        await opened(pilot, 3)
        assert [row.split()[0] for row in lines(pilot.app)] == ["A", "B", "C"]
        await pilot.press("down", "enter")
        await seen(pilot, lambda app: app.watching.debug.panes.index == 1)


class Judge:
    """A judge that knows its answer."""

    def __init__(self, answer):
        self._answer = answer

    def score(self, texts, length):
        assert length == 64
        if isinstance(self._answer, ValueError):
            raise self._answer
        assert len(texts) == len(self._answer)
        return self._answer

    def close(self):
        pass


async def test_the_judge_adds_a_column_on_request(monkeypatch):
    async with comparing(None, MDLM, steps=6).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 2)
        await opened(pilot, 2)
        await pilot.press("ctrl+g")
        await seen(pilot, lambda app: "have masks" in str(app.screen.query_one(".error").render()))
        await pilot.press("escape", "space")
        await seen(pilot, lambda app: app.watching.player.done)
        await opened(pilot, 2)
        screen = pilot.app.screen
        assert "gen PPL" not in str(screen.query_one("#heads").render())
        screen._make_judge = lambda: Judge(ValueError("The judge failed: no room"))
        await pilot.press("ctrl+g")
        await seen(pilot, lambda app: "no room" in str(screen.query_one(".error").render()))
        screen._make_judge = lambda: Judge([31.25, 17.5])
        await pilot.press("ctrl+g")
        await seen(pilot, lambda app: "not comparable" in str(screen.query_one(".error").render()))
        assert ["31.2" in lines(pilot.app)[0], "17.5" in lines(pilot.app)[1]] == [True, True]
        await pilot.press("shift+tab")
        await seen(pilot, lambda app: "gen PPL▼" in str(screen.query_one("#heads").render()))


async def test_one_sample_has_no_table():
    async with watching().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("J")
        await seen(pilot, lambda app: "Only one sample" in banner(app))


def test_rows_without_a_figure_come_last():
    rows = [OverviewRow("", "", masked, 4, 0, 0, entropy, 0) for masked, entropy in ((3, math.nan), (1, 2.0), (2, 5.0))]
    assert sorted_rows(rows, None, False) == [0, 1, 2]
    assert sorted_rows(rows, 0, False) == [1, 2, 0]
    assert sorted_rows(rows, 3, True) == [2, 1, 0]
    assert sorted_rows(rows, 3, False) == [1, 2, 0]


@pytest.mark.parametrize("plain", [False, True])
async def test_the_curves_of_panes_are_told_apart_by_colour_else_by_letters(plain):
    async with comparing(None, MDLM, ascii=plain).run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 12)
        curves = pilot.app.query_one(CurvesPanel)
        shown = curves.render_line(1)
        rows = [curves.render_line(y) for y in range(curves.size.height)]
        colours = {s.style.color.name for row in rows for s in row if s.style and s.style.color}
        assert (set(LINES[True][:2]) <= colours) is not plain
        field = "".join(row.text for row in rows[1:4])
        assert bool({"A", "B"} & set(field)) is plain
        assert shown.text.strip()


async def test_a_click_on_the_curves_goes_to_the_step_and_on_a_branch_shows_it():
    async with watching().run_test(size=(120, 40)) as pilot:
        await stepped(pilot, 16)
        curves = pilot.app.query_one(CurvesPanel)
        await pilot.click(curves, offset=((curves.size.width - 1) // 4, 2))
        await seen(pilot, lambda app: app.watching.player.position in (7, 8))
        await pilot.press("f")
        await seen(pilot, lambda app: app.watching.state.branch == 1 and app.main.branches.size.height == 2)
        await settle(pilot)
        await pilot.click(pilot.app.main.branches, offset=(3, 0))
        await seen(pilot, lambda app: app.watching.state.branch == 0)
