"""What is painted of a map: the signs and colours of its characters, and the lines that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from engine.sampling.trace import Record
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.plate import Plate, Reads
from remdm_tui.render.plate_paint import MARKED, Painting

PLATES = 4
"""Plates that are kept, so that going back to a branch or a sample reads nothing again."""
BLOCK = 8
"""Characters of a line that are made together."""


class PaintedMap:
    """A painting that is changed in place; its lines are kept in blocks, as a step changes little of a line."""

    def __init__(self) -> None:
        self._painting: Painting | None = None
        self._blocks: dict[tuple[int, int], list[Segment]] = {}
        """parts of lines, by line and block"""

    @property
    def is_empty(self) -> bool:
        """Whether everything must be painted."""
        return self._painting is None

    def clear(self) -> None:
        """Drop the painting."""
        self._painting = None

    def drop_lines(self) -> None:
        """Make all lines again, as their styles have changed."""
        self._blocks.clear()

    def replace(self, made: Painting) -> None:
        """Take a painting of the whole map."""
        self._painting = made
        self._blocks.clear()

    def patch(self, made: Painting, characters: range) -> None:
        """Take a painting of some columns of characters."""
        assert self._painting is not None
        part = slice(characters.start, characters.stop)
        self._painting.signs[:, part] = made.signs
        self._painting.front[:, part] = made.front
        self._painting.back[:, part] = made.back
        for block in range(characters.start // BLOCK, -(-characters.stop // BLOCK)):
            for y in range(len(self._painting.signs)):
                self._blocks.pop((y, block), None)

    def has_line(self, y: int, width: int) -> bool:
        """Return whether a line of this width is painted."""
        return self._painting is not None and self._painting.signs.shape[1] == width and y < len(self._painting.signs)

    def line(self, y: int, style: Callable[[int, int], Style]) -> list[Segment]:
        """Return a line that `has_line`.  style: of two numbers of colours, front and back."""
        painting = self._painting
        assert painting is not None
        blocks = range(-(-painting.signs.shape[1] // BLOCK))
        made = (self._blocks.get((y, block)) or self._block(painting, y, block, style) for block in blocks)
        return list(chain.from_iterable(made))

    def _block(self, painting: Painting, y: int, block: int, style: Callable[[int, int], Style]) -> list[Segment]:
        """Make a part of a line and keep it."""
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        front, back = painting.front[y, part].tolist(), painting.back[y, part].tolist()
        text = painting.signs[y, part].tobytes().decode("utf-32-le")
        made: list[Segment] = []
        begin = 0
        for x in range(1, len(text) + 1):
            if x == len(text) or front[x] != front[begin] or back[x] != back[begin]:
                made.append(Segment(text[begin:x], style(front[begin], back[begin])))
                begin = x
        self._blocks[y, block] = made
        return made


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


def joined(parts: Sequence[range]) -> list[range]:
    """Return the ranges in order, those that touch as one."""
    joined: list[range] = []
    for part in sorted(parts, key=lambda part: part.start):
        if joined and part.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, part.stop))
        else:
            joined.append(part)
    return joined


def _colour(rgb: paint.RGB) -> Color:
    return Color.from_rgb(*rgb)
