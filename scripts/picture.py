"""Make docs/watch.png, the README's picture: the application itself on the demo model, half-way through a run."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import resvg_py

from engine.records import Settings
from engine.strategies import make_strategy, values
from remdm_tui.app import WatchApp
from remdm_tui.options import WatchOptions

OUT = Path(__file__).parent.parent / "docs" / "watch.png"
STOP = 150
"""The step on the picture: enough text to read, enough masks to see."""


async def screenshot() -> str:
    settings = Settings("remdm-cap", values(make_strategy("remdm-cap", eta=0.04)))
    app = WatchApp(WatchOptions(settings, paused=True, seed=11, prompt="It was a dark and stormy night"))
    async with app.run_test(size=(120, 36)) as pilot:
        while app.watching.model is None or app.watching.link.trace is None:
            await pilot.pause(0.1)
        await pilot.press("space")
        while app.watching.player.position < STOP:
            await pilot.pause(0.02)
        await pilot.press("space")
        app._play(app.watching.player.__class__(position=STOP, recorded=app.watching.player.recorded, playing=False))
        # to the next step that shows a remask beside a reveal
        while not {2, 3} <= set(app.watching.link.trace.change(app.watching.player.position, 0).tolist()):
            await pilot.press("right")
            await pilot.pause(0.1)
        await pilot.pause(0.5)
        return app.export_screenshot(title="remdm-tui watch")


def main() -> None:
    svg = asyncio.run(screenshot())
    # the terminal font of the machine instead of a web font
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg).replace("Fira Code", "DejaVu Sans Mono")
    png = resvg_py.svg_to_bytes(svg_string=svg, font_family="DejaVu Sans Mono", monospace_family="DejaVu Sans Mono")
    OUT.write_bytes(bytes(png))


if __name__ == "__main__":
    main()
