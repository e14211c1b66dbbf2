"""All that is on the screen, as text or as a picture."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from rich.segment import Segment

from engine.files.atomic import replacing, tidy
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports.pictures import raster_of, scalable
from remdm_tui.exports.scene import PLAIN, Line

KINDS = ("txt", "svg", "png")


def page_of(strips: Iterable[Iterable[Segment]]) -> list[Line]:
    """The lines of a screen, with nothing in them that a terminal would obey."""
    return [
        tuple((sanitize(segment.text), segment.style or PLAIN) for segment in strip if not segment.control)
        for strip in strips
    ]


def kind_of(out: Path) -> str:
    """By the ending; raises ValueError that lists what there is."""
    kind = out.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise ValueError(f"the screen is written as {', '.join(KINDS)}, not as {kind!r}")
    return kind


def write(page: list[Line], columns: int, out: Path, light: bool) -> str:
    """Write a page of so many columns, and say so.

    Raises ValueError where Pillow is missing, OSError where nothing can be written.
    """
    kind = kind_of(out)
    tidy(out.parent, [glob.escape(out.name)])
    with replacing(out) as part:
        if kind == "png":
            raster_of([page], columns, light).picture(page).save(part, "PNG")
        else:
            lines = ("".join(text for text, _ in line).rstrip() for line in page)
            written = scalable(page, columns, light) if kind == "svg" else "\n".join(lines) + "\n"
            part.write_text(written, encoding="utf-8")
    return f"{out}: the screen, {out.stat().st_size:,} bytes"
