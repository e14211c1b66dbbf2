"""One step as SVG or PNG, and the run as GIF."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from remdm_tui.exports import ExportRequest
from remdm_tui.exports.scene import Scene, SceneLine

if TYPE_CHECKING:
    from remdm_tui.exports.raster import Raster

FRAMES = 200
"""Steps of a GIF at most, by default: all are in memory when it is written."""
HOLD = 3_000
"""Milliseconds that the last picture stays."""


def svg(request: ExportRequest) -> None:
    """Write a step as SVG; text stays text, in the reader's monospaced font. Raises ValueError and OSError."""
    scene = Scene.of(request)
    picture = svg_of(scene.page(request.position), scene.columns, request.light)
    request.out.write_text(picture, encoding="utf-8")


def svg_of(page: list[SceneLine], columns: int, light: bool) -> str:
    """Return a page as SVG that loads nothing."""
    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.console import Console
    from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME
    from rich.text import Text

    console = Console(
        file=io.StringIO(), record=True, width=columns, force_terminal=True, color_system="truecolor",
        legacy_windows=False, highlight=False, emoji=False, markup=False,
    )  # fmt: skip
    for line in page:
        console.print(Text.assemble(*line), soft_wrap=True)
    code_format = re.sub(r"@font-face\s*{{.*?}}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace("Fira Code, ", "")
    theme = DEFAULT_TERMINAL_THEME if light else SVG_EXPORT_THEME
    return console.export_svg(title="remdm-tui", theme=theme, code_format=code_format, unique_id="remdm")


def png(request: ExportRequest) -> str:
    """Write a step as PNG; return what the picture lacks. Raises ValueError if Pillow is missing, and OSError."""
    page = Scene.of(request).page(request.position)
    raster = raster_of([page], request.columns, request.light)
    raster.image(page).save(request.out, "PNG")
    return raster.remark


def gif(request: ExportRequest) -> str:
    """Write the run as GIF; return what the pictures lack. Raises ValueError if Pillow is missing, and OSError."""
    scene, positions = Scene.of(request), request.positions(FRAMES)
    pages = [scene.page(position) for position in positions]
    raster = raster_of(pages, request.columns, request.light)
    first, *others = map(raster.image, pages)
    each = max(20, round(1_000 / request.rate / 10) * 10)
    first.save(
        request.out, "GIF", save_all=True, append_images=others, duration=[each] * (len(pages) - 1) + [HOLD],
        loop=0, disposal=1, optimize=False,
    )  # fmt: skip
    return raster.remark


def raster_of(pages: list[list[SceneLine]], columns: int, light: bool) -> Raster:
    """Return what draws pages of one size. Raises ValueError if Pillow is missing."""
    try:
        from remdm_tui.exports.raster import Raster
    except ImportError:
        raise ValueError("PNG and GIF need the package Pillow: install it, or export svg or cast") from None
    styles: dict[Any, None] = {style: None for page in pages for line in page for _, style in line}
    return Raster(list(styles), columns, max(map(len, pages)), light)
