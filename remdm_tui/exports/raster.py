"""Draws lines of styled text as paletted pictures, each glyph once, for PNG and GIF.  Needs Pillow."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.cells import cell_len
from rich.style import Style

from engine.text.counts import counted
from remdm_tui.exports.scene import SceneLine

SIZE = 14
"""Pixels of the font."""
MARGIN = 10
"""Pixels around the text."""
SHADES = 8
"""Colours from a style's background to its foreground."""
DARK, LIGHT = ((0xE6, 0xE6, 0xE6), (0x12, 0x12, 0x14)), ((0x1A, 0x1A, 0x1A), (0xFF, 0xFF, 0xFF))
"""Foreground and background of a style that has none."""
FONTS = ("DejaVuSansMono", "LiberationMono-Regular", "NotoSansMono-Regular", "Menlo", "consola")
BRAILLE = 0x2800
"""The first braille pattern; curves are drawn with them, and not every font has them."""
NO_CHARACTER = "\U0010fffe"
"""Drawn as the box that stands for a glyph that a font lacks."""
NAMED = 8
"""Characters without a glyph that are named."""
LARGEST = 1 << 26
"""Pixels of one picture at most."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Tile = NDArray[np.uint8]


class Raster:
    """Draws pages of one size; a pixel is the style's number times SHADES plus how much the glyph covers it."""

    def __init__(self, styles: list[Style], columns: int, rows: int, light: bool) -> None:
        """Prepare the styles. Raises ValueError for a page that is too large for a picture."""
        self._font, self._bold = monospaced(False), monospaced(True)
        self._width = max(1, round(self._font.getlength("M")))
        self._height = SIZE + SIZE // 3
        self._size = (rows * self._height + 2 * MARGIN, columns * self._width + 2 * MARGIN)
        if self._size[0] * self._size[1] > LARGEST:
            raise ValueError(f"a picture of {columns} times {rows} cells is too large: take other columns")
        # the first entry is the page itself
        self._styles = {style: number for number, style in enumerate([Style(), *(s for s in styles if s)])}
        self._plain = LIGHT if light else DARK
        self._colours = b"".join(bytes(_shades(style, self._plain)) for style in self._styles)
        self._tiles: dict[tuple[str, Style], Tile] = {}
        self._missing: dict[str, None] = {}
        """characters that the font has no glyph for, in the order in which they were drawn"""

    @property
    def remark(self) -> str:
        """Say which characters the font lacks; empty if it has all."""
        if not self._missing:
            return ""
        named = " ".join(list(self._missing)[:NAMED])
        more = f" and {len(self._missing) - NAMED} more" if len(self._missing) > NAMED else ""
        what = counted(len(self._missing), "character")
        return f"the font lacks {what} ({named}{more}), drawn as boxes: svg and html have every character"

    def image(self, page: list[SceneLine]) -> Image.Image:
        """Return a page as a picture with a palette."""
        pixels = np.zeros(self._size, np.uint8)
        for row, line in enumerate(page):
            x, y = MARGIN, MARGIN + row * self._height
            for text, style in line:
                for c in text:
                    tile = self._tile(c, style)
                    room = pixels[y : y + self._height, x : x + tile.shape[1]]
                    room[:] = tile[:, : room.shape[1]]
                    x += tile.shape[1]
        image = Image.fromarray(pixels, "P")
        image.putpalette(self._colours)
        return image

    def picture(self, page: list[SceneLine]) -> Image.Image:
        """Return a page as a picture with as many colours as it has."""
        tables = {style: np.array(_shades(style, self._plain), np.uint8).reshape(SHADES, 3) for style in self._styles}
        pixels = np.broadcast_to(tables[Style()][0], (*self._size, 3)).copy()
        for row, line in enumerate(page):
            x, y = MARGIN, MARGIN + row * self._height
            for text, style in line:
                for c in text:
                    tile = tables[style][self._shaded(c, style)]
                    room = pixels[y : y + self._height, x : x + tile.shape[1]]
                    room[:] = tile[:, : room.shape[1]]
                    x += tile.shape[1]
        return Image.fromarray(pixels, "RGB")

    def _tile(self, c: str, style: Style) -> Tile:
        tile = self._tiles.get((c, style))
        if tile is None:
            tile = self._tiles[c, style] = (self._styles[style] * SHADES + self._shaded(c, style)).astype(np.uint8)
        return tile

    def _shaded(self, c: str, style: Style) -> Tile:
        """Return how much of each pixel a character covers, [height, width], in SHADES."""
        width = self._width * max(1, cell_len(c))
        cell = Image.new("L", (width, self._height))
        draw = ImageDraw.Draw(cell)
        if BRAILLE <= ord(c) < BRAILLE + 256:
            for x, y in braille_dots(ord(c) - BRAILLE):
                left, top = round((x + 0.5) * width / 2 - 1), round((y + 0.5) * self._height / 4 - 1)
                draw.rectangle((left, top, left + 1, top + 1), fill=255)
        else:
            font = self._bold if style.bold else self._font
            if not has_glyph(font, c):
                self._missing[c] = None
            draw.text((0, SIZE // 8), c, fill=255, font=font)
        for has_line, y in (
            (style.underline or style.underline2, self._height - 2),
            (style.underline2, self._height - 4),
        ):
            if has_line:
                draw.line((0, y, width, y), fill=255)
        return ((np.asarray(cell, np.uint16) * (SHADES - 1) + 127) // 255).astype(np.uint8)


def has_glyph(font: Font, c: str) -> bool:
    """Return whether a font draws a character otherwise than one that no font has."""
    return c.isascii() or c.isspace() or bytes(font.getmask(c)) != bytes(font.getmask(NO_CHARACTER))


def braille_dots(pattern: int) -> list[tuple[int, int]]:
    """Return columns and rows of the dots of a braille pattern."""
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    return [place for bit, place in enumerate(places) if pattern >> bit & 1]


def _shades(style: Style, plain: tuple[tuple[int, int, int], tuple[int, int, int]]) -> list[int]:
    """Return red, green and blue of the shades of a style, background first."""
    front, back = (
        default if colour is None or colour.triplet is None else tuple(colour.triplet)
        for colour, default in zip((style.color, style.bgcolor), plain, strict=True)
    )
    if style.reverse:
        front, back = back, front
    return [round(b + (f - b) * i / (SHADES - 1)) for i in range(SHADES) for f, b in zip(front, back, strict=True)]


def monospaced(bold: bool) -> Font:
    """Return a monospaced font of the system, else Matplotlib's, else Pillow's own."""
    names = [name + ".ttf" for name in FONTS] + [name + ".ttc" for name in FONTS]
    if bold:
        names = ["DejaVuSansMono-Bold.ttf", "LiberationMono-Bold.ttf", "NotoSansMono-Bold.ttf", *names]
    matplotlib = find_spec("matplotlib")
    if matplotlib is not None and matplotlib.origin is not None:
        fonts = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf"
        names += [str(fonts / f"DejaVuSansMono{'-Bold' * bold}.ttf")]
    for name in names:
        try:
            return ImageFont.truetype(name, SIZE)
        except OSError:
            continue
    return ImageFont.load_default(SIZE)
