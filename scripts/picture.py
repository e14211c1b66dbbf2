"""Make the documents' pictures: the application itself on the demo model.

python scripts/picture.py [watch debug law compare run]
python scripts/picture.py --all DIRECTORY [--state paused ...] [--look dark ...]

The second form writes every state of the screen in all sizes and colours to a directory, to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image
from textual.pilot import Pilot

sys.path.insert(0, str(Path(__file__).parent.parent))

from engine.records import Change, Settings
from engine.strategies import catalogue, make_strategy, values
from remdm_tui.app import WatchApp
from remdm_tui.commands.new_strategy import run as new_strategy
from remdm_tui.exports.pictures import raster_of
from remdm_tui.exports.scene import SceneLine
from remdm_tui.exports.screen import page_of
from remdm_tui.settings.pane_spec import pane_settings
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch.player import Player
from scripts.screen_pictures import LOOKS, STATES, draw_all

DOCS = Path(__file__).parent.parent / "docs"
STOP = 150
"""The step on the README's picture: enough text to read, enough masks to see."""


def changes(app: WatchApp, position: int) -> NDArray[np.uint8]:
    """Return what the step to a position did to the first sample."""
    trace = app.watching.trace
    assert trace is not None
    return trace.change(position, 0)


def is_past(position: int, app: WatchApp) -> bool:
    return app.watching.position > position or app.watching.player.done


async def until(pilot: Pilot[None], condition: Callable[[WatchApp], bool]) -> None:
    app = pilot.app
    assert isinstance(app, WatchApp)
    for _ in range(3_000):
        if condition(app):
            return
        await pilot.pause(0.05)
    raise RuntimeError("what the picture is to show does not come")


def cap(eta: float) -> Settings:
    return Settings("remdm-cap", values(make_strategy("remdm-cap", eta=eta)))


async def shot(
    options: WatchOptions, size: tuple[int, int], act: Callable[[WatchApp, Pilot[None]], Awaitable[None]], title: str
) -> str:
    app = WatchApp(options)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda app: app.watching.trace is not None)
        await act(app, pilot)
        await pilot.pause(0.5)
        return app.export_screenshot(title=title)


async def watch() -> str:
    async def act(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        await until(pilot, lambda app: app.watching.player.position >= STOP)
        await pilot.press("space")
        app.controls.play(Player(position=STOP, recorded=app.watching.player.recorded, playing=False))
        # to the next step that shows a remask beside a reveal
        while not {Change.REVEALED, Change.REMASKED} <= {*changes(app, app.watching.player.position).tolist()}:
            await pilot.press("right")
            await pilot.pause(0.1)

    options = WatchOptions(cap(0.04), paused=True, seed=11, prompt="It was a dark and stormy night")
    return await shot(options, (120, 36), act, "remdm-tui watch")


async def debug() -> str:
    """Stopped at a remask, on a branch, with the story of the position."""

    async def act(app: WatchApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda app: "stopped at" in app.watching.notice.text)
        stopped = app.watching.player.position
        notice = app.watching.notice
        app.controls.play(Player(position=stopped - 8, recorded=stopped, playing=False))
        await pilot.press("E")
        await until(pilot, lambda app: app.watching.debug.branches.current == 1)
        await pilot.press("Z")
        await until(pilot, lambda app: app.watching.debug.branches.current == 0 and not app.watching.debug.waiting)
        app.controls.play(Player(position=stopped, recorded=stopped, playing=False))
        lost = (changes(app, stopped) == Change.REMASKED).nonzero()[0]
        app.main.text.look_at(int(lost[0]))
        await until(pilot, lambda app: app.watching.debug.has_story)
        app.watching.notice = notice
        app.controls.wake()

    options = WatchOptions(cap(0.1), steps=96, length=96, seed=5, breakpoints=("remasked > 4 and t < .5",))
    return await shot(options, (120, 36), act, 'remdm-tui watch --break "remasked > 4 and t < .5"')


async def law() -> str:
    """A strategy of one's own that remasks twice what it makes up for."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "mine.py"
        new_strategy(path)
        wrong = path.read_text().replace(
            "return posterior(view, sigma)", "return Plan(posterior(view, sigma).unmask, 2 * sigma)"
        )
        path.write_text(wrong)

        async def act(app: WatchApp, pilot: Pilot[None]) -> None:
            # the first step that breaks a law stops the run
            await until(pilot, lambda app: "marginal" in app.watching.debug.findings.broken)
            if app.watching.player.playing:
                await pilot.press("space")

        options = WatchOptions(
            cap(0.1), steps=200, length=96, batch=8, seed=5, strategy_file=str(path), file_knobs=(("eta", 0.5),)
        )
        return await shot(options, (120, 36), act, "remdm-tui watch --strategy-file mine.py --batch 8")


async def compare() -> str:
    """Four samplers on one clock, two thirds of the way."""

    async def act(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        await until(pilot, lambda app: app.watching.player.position >= 44)
        await pilot.press("space")
        await until(pilot, lambda app: app.watching.idle)
        app.controls.play(Player(position=42, recorded=app.watching.player.recorded, playing=False))

    specs = ("mdlm", "remdm-loop:eta=.1", "forward-backward")
    others = tuple(pane_settings(text, cap(0.1), catalogue()) for text in specs)
    options = WatchOptions(cap(0.1), steps=64, length=64, seed=7, compare=others, paused=True)
    title = "remdm-tui watch " + " ".join(f"--compare {text}" for text in ("remdm-cap:eta=.1", *specs))
    return await shot(options, (120, 36), act, title)


TALL = (100, 34)
"""Columns and rows of the moving picture."""
EVERY, COLOURS = 2, 64
"""Steps from one picture to the next, and colours of all of them: the file stays below 2 MB."""
EACH, HOLD = 320, 3_000
"""Milliseconds of a picture, and of the last one."""


async def run() -> None:
    """A whole run with its map, as a GIF of 20 seconds."""
    options = WatchOptions(
        cap(0.05), steps=106, length=106, paused=True, seed=11, prompt="It was a dark and stormy night"
    )
    app = WatchApp(options)
    pages: list[list[SceneLine]] = []
    async with app.run_test(size=TALL) as pilot:
        await until(pilot, lambda app: app.watching.live)
        # step by step, so that the map grows
        while not app.watching.player.done:
            position = app.watching.position
            if position % EVERY == 0:
                pages.append(page_of(app.screen._compositor.render_strips()))
            await pilot.press("right")
            await until(pilot, partial(is_past, position))
            await until(pilot, lambda app: app.refresh_clock.resting)
            await pilot.pause()
        pages.append(page_of(app.screen._compositor.render_strips()))
    raster = raster_of(pages, TALL[0], light=False)
    pictures = [raster.picture(page) for page in pages]
    # the last page with masks has every colour; one palette, so that only what changed is stored
    colours = pictures[-len(pictures) // 4].quantize(COLOURS, dither=Image.Dither.NONE)
    first, *others = (one.quantize(palette=colours, dither=Image.Dither.NONE) for one in pictures)
    first.save(
        DOCS / "run.gif", "GIF", save_all=True, append_images=others, duration=[EACH] * (len(pages) - 1) + [HOLD],
        loop=0, disposal=1, optimize=False,
    )  # fmt: skip


Shot = Callable[[], Coroutine[Any, Any, str]]
PICTURES: dict[str, Shot] = {"watch": watch, "debug": debug, "law": law, "compare": compare}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *PICTURES, "run"], metavar="NAME", help="default: all")
    parser.add_argument("--all", type=Path, metavar="DIRECTORY", help="write every state of the screen there")
    parser.add_argument("--state", action="append", choices=STATES, help="only these states; default: all")
    parser.add_argument("--look", action="append", choices=LOOKS, help="only these kinds of colours; default: all")
    options = parser.parse_args()
    if options.all is not None:
        for path in draw_all(options.all, options.state or [*STATES], options.look or [*LOOKS]):
            print(path)
        return
    # whatever the terminal has in which they are drawn
    os.environ["COLORTERM"] = "truecolor"
    for name in options.names or [*PICTURES, "run"]:
        if name == "run":
            asyncio.run(run())
        else:
            draw(name)


def draw(name: str) -> None:
    """Write one picture of the documents."""
    svg = asyncio.run(PICTURES[name]())
    # the terminal font of the machine instead of a web font
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg).replace("Fira Code", "DejaVu Sans Mono")
    png = resvg_py.svg_to_bytes(svg_string=svg, font_family="DejaVu Sans Mono", monospace_family="DejaVu Sans Mono")
    (DOCS / f"{name}.png").write_bytes(bytes(png))


if __name__ == "__main__":
    main()
