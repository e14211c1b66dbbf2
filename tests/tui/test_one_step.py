"""Every frame of a run shows one step: text, header and figures are painted together."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from engine.records import Change
from remdm_tui.app import WatchApp
from remdm_tui.render.canvas import canvas
from remdm_tui.render.typeset import typeset
from tests.tui.test_app import settle, watching
from tests.tui.test_compositor import Paper

LENGTH = 64


class Frames(Paper):
    """A terminal that reads, after each paint, what is on it."""

    def __init__(self, app: WatchApp, columns: int, rows: int) -> None:
        super().__init__(app, columns, rows)
        self.steps: list[int] = []
        self.wrong: list[str] = []

    def display(self, screen, update) -> None:
        super().display(screen, update)
        found = re.search(r"playing (\d+)/", self.screen.display[0])
        if found is not None and self.app.main.panes.active.whole:
            self.steps.append(int(found[1]))
            self.check(int(found[1]))

    def check(self, step: int) -> None:
        trace, lines = self.app.watching.trace, self.screen.display
        changes = trace.change(step, 0)
        hidden = int(np.isin(changes, (Change.MASKED, Change.REMASKED)).sum())
        figures = " ".join("\n".join(lines).split())
        wanted = [f"masked {hidden}/{LENGTH}", f"remasked {int((changes == Change.REMASKED).sum())}"]
        if step:
            calls = trace.frame(step).network_calls
            wanted += [f"NFE {calls} "] * (2 if "5 curves" in figures else 1)
            self.wrong += [f"{step}: {one}" for one in wanted if figures.count(one) < wanted.count(one)]
        grid = self.app.main.panes.active
        page = typeset(canvas(trace, step, 0), np.zeros(LENGTH, np.uint8), grid._type, grid._lines.width)
        # the last column is the scrollbar's, and the end of the text may not fit
        text = "".join(lines[y][grid.region.x : grid.region.right - 1] for y in grid.region.line_range).split()
        if not text or not "".join("".join(page.texts).split()).startswith("".join(text)):
            self.wrong.append(f"{step}: text")


@pytest.mark.parametrize(("size", "speed"), [((120, 40), float("inf")), ((120, 40), 50.0), ((80, 24), 50.0)])
async def test_text_header_and_figures_are_of_one_step_in_every_frame(size, speed):
    app = watching(length=LENGTH, steps=600 if speed > 50 else 60)
    frames = Frames(app, *size)
    app._display = frames.display
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        app.controls.play(replace(app.watching.player, playing=True, speed=speed))
        await settle(pilot, lambda app: app.watching.player.done)
    assert len(set(frames.steps)) > 4
    assert frames.wrong == []
