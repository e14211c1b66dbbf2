"""Writes the whole screen as text or as a picture."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from rich.segment import Segment

from engine.files.atomic import replacing, tidy
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports.pictures import raster_of, svg_of
from remdm_tui.exports.scene import PLAIN, SceneLine

SCREEN_KINDS = ("txt", "svg", "png")


def page_of(strips: Iterable[Iterable[Segment]]) -> list[SceneLine]:
    """Return the lines of a screen, without characters that act on a terminal."""
    return [
        tuple((sanitize(segment.text), segment.style or PLAIN) for segment in strip if not segment.control)
        for strip in strips
    ]


def screen_kind_of(out: Path) -> str:
    """Return the kind by the ending of the file. Raises ValueError that lists the kinds."""
    kind = out.suffix.removeprefix(".").lower()
    if kind not in SCREEN_KINDS:
        raise ValueError(f"the screen is written as {', '.join(SCREEN_KINDS)}, not as {kind!r}")
    return kind


def write_screen(page: list[SceneLine], columns: int, out: Path, light: bool) -> str:
    """Write a page of this width in columns, and return a sentence for the user.

    Raises ValueError if Pillow is missing, OSError if the file is not writable.
    """
    kind, lack = screen_kind_of(out), ""
    tidy(out.parent, [glob.escape(out.name)])
    with replacing(out) as part:
        if kind == "png":
            raster = raster_of([page], columns, light)
            raster.picture(page).save(part, "PNG")
            lack = raster.remark
        else:
            lines = ("".join(text for text, _ in line).rstrip() for line in page)
            written = svg_of(page, columns, light) if kind == "svg" else "\n".join(lines) + "\n"
            part.write_text(written, encoding="utf-8")
    return f"{out}: the screen, {out.stat().st_size:,} bytes" + f"; {lack}" * bool(lack)
