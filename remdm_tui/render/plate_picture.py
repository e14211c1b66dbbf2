"""A whole map as PNG and SVG.  Needs numpy alone."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from engine.sampling.trace import Record
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.plate import Bytes, Plate
from remdm_tui.render.plate_modes import MODES
from remdm_tui.render.plate_pool import Pool
from remdm_tui.render.viewport import Viewport

MOST = (1024, 2048)
"""Positions and steps that have cells of their own; of more, several share one."""
TALLEST, WIDEST = 512, 1024
"""Pixels up to which the cells of a small run are enlarged."""
LEFT, TOP, BOTTOM = 64, 28, 44
"""Room for words around an SVG's map."""
PAGE, INK = {True: (0x12, 0x12, 0x14), False: (0xFF, 0xFF, 0xFF)}, {True: "#e6e6e6", False: "#1a1a1a"}


@dataclass(frozen=True, eq=False)
class MapPicture:
    """The colours of every cell [rows, columns], and the palette they are of."""

    colours: Bytes
    table: list[paint.RGB]
    positions: int
    steps: int
    light: bool

    @classmethod
    def of(cls, record: Record, sample: int, light: bool = False) -> MapPicture:
        """Return the map of a whole run.  Raises ValueError as the record does."""
        plate = Plate(record, sample)
        plate.read()
        view = Viewport.whole(plate.positions, max(record.start.steps, len(record)) + 1)
        grid = min(plate.positions, MOST[0]), min(view.steps, MOST[1])
        pool = Pool(plate, view, grid, MODES["state"])
        colours = paint.colours_of(pool.worst, pool.share, pool.mode)
        return cls(colours, paint.colour_table(not light, PAGE[not light]), plate.positions, view.steps - 1, light)

    @property
    def scale(self) -> tuple[int, int]:
        """Pixels of a cell, down and across."""
        rows, columns = self.colours.shape
        return max(1, min(8, TALLEST // rows)), max(1, min(8, WIDEST // columns))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        rows, columns = self.colours.shape
        return rows * self.scale[0], columns * self.scale[1]

    def png(self, title: str = "") -> bytes:
        """Return the map as a PNG with a palette; the title is in its metadata, not in the picture."""
        down, across = self.scale
        pixels = self.colours.repeat(down, axis=0).repeat(across, axis=1)
        height, width = pixels.shape
        # every row begins with the number of its filter: none
        rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)
        palette = b"".join(bytes(colour) for colour in self.table[: paint.COLOURS])
        words = b"Title\0" + title.encode("latin-1", "replace")
        return b"\x89PNG\r\n\x1a\n" + b"".join((
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)), _chunk(b"PLTE", palette),
            _chunk(b"tEXt", words) if title else b"", _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ))  # fmt: skip

    def svg(self, title: str) -> str:
        """Return the map with its axes and a legend; it loads nothing."""
        height, width = self.size
        ink, page = INK[not self.light], hex_of(PAGE[not self.light])
        data = base64.b64encode(self.png()).decode()
        whole = width + LEFT + 16, height + TOP + BOTTOM
        names = ("masked", "kept", "prompt", "new", "edited", "remasked")
        colours = (paint.GROUND, paint.PROMPT - 1, paint.PROMPT, paint.REVEALED, paint.EDITED, paint.REMASKED)
        legend, x = [], LEFT
        for name, colour in zip(names, colours, strict=True):
            shown = hex_of(self.table[colour])
            legend.append(f'<rect x="{x}" y="{TOP + height + 24}" width="10" height="10" fill="{shown}"/>')
            legend.append(f'<text x="{x + 14}" y="{TOP + height + 33}">{name}</text>')
            x += 24 + 8 * len(name)
        bottom = TOP + height + 14
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole[0]} {whole[1]}" width="{whole[0]}" '
            f'height="{whole[1]}" font-family="ui-monospace, DejaVu Sans Mono, monospace" font-size="12" fill="{ink}">'
            f'<rect width="100%" height="100%" fill="{page}"/><text x="{LEFT}" y="18">{html.escape(title)}</text>'
            f'<image x="{LEFT}" y="{TOP}" width="{width}" height="{height}" preserveAspectRatio="none" '
            f'image-rendering="pixelated" href="data:image/png;base64,{data}"/>'
            f'<text x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">0</text>'
            f'<text x="{LEFT - 6}" y="{TOP + height}" text-anchor="end">{self.positions - 1}</text>'
            f'<text x="{LEFT}" y="{bottom}">step 0</text>'
            f'<text x="{LEFT + width}" y="{bottom}" text-anchor="end">{self.steps}</text>'
            f"{''.join(legend)}</svg>\n"
        )


def hex_of(colour: paint.RGB) -> str:
    """Return a colour as #rrggbb."""
    return "#" + bytes(colour).hex()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
