"""The run as an asciicast, version 2: a header, then one JSON array a line, [seconds, "o", what to write]."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.color import ColorSystem

from remdm_tui.exports import ExportRequest
from remdm_tui.exports.scene import Scene, SceneLine

HOLD = 3.0
"""Seconds that the last picture stays."""


def write(request: ExportRequest) -> None:
    """Write the run. Raises ValueError for a bad number of columns, OSError if the file is not writable."""
    scene = Scene.of(request)
    positions = request.positions()
    # a player's screen does not grow: it is as high as the longest text
    height = max(len(scene.page(position)) for position in positions)
    head = {
        "version": 2, "width": scene.columns, "height": height, "title": scene.heading(0),
        "timestamp": int(request.recording.header.created), "env": {"TERM": "xterm-256color"},
    }  # fmt: skip
    with request.out.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head) + "\n")
        now = 0.0
        for number, written in enumerate(changes(scene, positions)):
            now = number / request.rate
            file.write(json.dumps([round(now, 6), "o", written]) + "\n")
        file.write(json.dumps([round(now + HOLD, 6), "o", "\x1b[?25h"]) + "\n")


def changes(scene: Scene, positions: list[int]) -> Iterator[str]:
    """Yield what turns each picture into the next on a terminal; the first clears the screen."""
    before: list[SceneLine] = []
    for number, position in enumerate(positions):
        page = scene.page(position)
        rows = max(len(page), len(before))
        lines = [
            f"\x1b[{row + 1};1H{ansi(line)}\x1b[K"
            for row, (line, old) in enumerate(zip(_padded(page, rows), _padded(before, rows), strict=True))
            if line != old or not number
        ]
        yield "".join(["\x1b[?25l\x1b[2J" * (not number), *lines])
        before = page


def ansi(line: SceneLine) -> str:
    """Return a line with escape sequences for its colours, 24 bits each, and its attributes."""
    return "".join(style.render(text, color_system=ColorSystem.TRUECOLOR) for text, style in line)


def _padded(page: list[SceneLine], rows: int) -> list[SceneLine]:
    return [*page, *[()] * (rows - len(page))]
