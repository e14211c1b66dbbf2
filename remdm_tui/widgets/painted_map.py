"""What is painted of a map: the signs and colours of its characters, and the lines that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from engine.sampling.trace import Record
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.plate import Plate, Reads
from remdm_tui.render.plate_paint import MARKED, Painting
from remdm_tui.widgets.strips import CellStrip

PLATES = 4
"""Plates that are kept, so that going back to a branch or a sample reads nothing again."""


class PaintedMap:
    """A painting that is changed in place; its lines are kept, and a step changes a few cells of them.

    style: of two numbers of colours, front and back.
    """

    def __init__(self, style: Callable[[int, int], Style]) -> None:
        self._style = style
        self._codes: NDArray[np.uint32] | None = None
        """sign and two colours of each character"""
        self._cells: dict[int, Segment] = {}
        """by code"""
        self._lines: dict[int, list[Segment]] = {}
        self._strips: dict[int, Strip] = {}

    @property
    def is_empty(self) -> bool:
        """Whether everything must be painted."""
        return self._codes is None

    def clear(self) -> None:
        """Drop the painting and the styles."""
        self._codes = None
        self.drop_lines()

    def drop_lines(self) -> None:
        """Make all lines again, as their styles have changed."""
        self._cells.clear()
        self._lines.clear()
        self._strips.clear()

    def replace(self, made: Painting) -> None:
        """Take a painting of the whole map."""
        self._codes = _codes(made)
        self._lines.clear()
        self._strips.clear()

    def patch(self, made: Painting, characters: range) -> None:
        """Take a painting of some columns of characters."""
        assert self._codes is not None
        part, codes = slice(characters.start, characters.stop), _codes(made)
        self._codes[:, part] = codes
        for y, row in enumerate(codes.tolist()):
            if y in self._lines:
                self._lines[y][part] = map(self._cell, row)
        self._strips.clear()

    def has_line(self, y: int, width: int) -> bool:
        """Return whether a line of this width is painted."""
        return self._codes is not None and self._codes.shape[1] == width and y < len(self._codes)

    def line(self, y: int) -> Strip:
        """Return a line that `has_line`."""
        strip = self._strips.get(y)
        if strip is None:
            if y not in self._lines:
                assert self._codes is not None
                self._lines[y] = list(map(self._cell, self._codes[y].tolist()))
            strip = self._strips[y] = CellStrip(self._lines[y])
        return strip

    def _cell(self, code: int) -> Segment:
        """Return the character of a code."""
        cell = self._cells.get(code)
        if cell is None:
            cell = self._cells[code] = Segment(chr(code >> 16), self._style(code >> 8 & 0xFF, code & 0xFF))
        return cell


def _codes(made: Painting) -> NDArray[np.uint32]:
    front, back = made.front.astype(np.uint32), made.back.astype(np.uint32)
    return made.signs << np.uint32(16) | front << np.uint32(8) | back


def block_style(table: Sequence[paint.RGB], front: int, back: int) -> Style:
    """Return the style of a block character in two colours."""
    return Style.from_color(_colour(table[front]), _colour(table[back]))


def sign_style(table: Sequence[paint.RGB], front: int, base: Style) -> Style:
    """Return the style of a sign: its colour is the state's; a mark turns it round, which needs no colour."""
    shown = front % MARKED
    plain = shown < paint.EVENT
    style = base if plain else Style.from_color(_colour(table[shown]))
    return base + style + Style(reverse=front >= MARKED, bold=not plain)


def recent_plates(plates: Sequence[Plate], record: Record, sample: int, reads: Reads) -> list[Plate]:
    """Return the plates with that of a record, sample and column first, as it is or new; the oldest are dropped."""
    found = next((plate for plate in plates if plate.is_of(record, sample, reads)), None)
    if found is not None:
        return [found, *(plate for plate in plates if plate is not found)]
    wanted = record, sample, reads
    kept = [plate for plate in plates if (plate.record, plate.sample, plate.reads) != wanted]
    return [Plate(record, sample, reads=reads), *kept[: PLATES - 1]]


def _colour(rgb: paint.RGB) -> Color:
    return Color.from_rgb(*rgb)
