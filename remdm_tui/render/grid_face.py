"""How large a grid is drawn: its cells and the lines around its boxes.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.cells import cell_len

from engine.records import GridLayout, ModelInfo
from remdm_tui.console.sanitize import sanitize

WIDEST = 4
"""Cells that the text of a token has at most."""
MARKS = 2
"""Cells of the marks at both sides of a token."""
SIDES, PLAIN_SIDES = ("─", "│"), ("-", "|")
"""Lines across and down."""
CORNERS, PLAIN_CORNERS = (*"┌┬┐", *"├┼┤", *"└┴┘"), ("+",) * 9
"""Left, middle and right, of the first line, of those between boxes and of the last."""


@dataclass(frozen=True)
class GridFace:
    """A grid in cells of the terminal; a roomy one has wider cells, and blank rows between those of a box."""

    layout: GridLayout
    inner: int = 1
    """cells of a token's text"""
    roomy: bool = False
    indent: int = 0
    """blank cells before the grid"""
    ascii_only: bool = False

    @classmethod
    def of(cls, model: ModelInfo, ascii_only: bool = False) -> GridFace | None:
        """Return the face of a model's grid; None for a model of text."""
        if model.layout is None:
            return None
        widths = (cell_len(sanitize(text, cells=True)) for i, text in enumerate(model.pieces) if i != model.mask_id)
        return cls(model.layout, max(1, min(WIDEST, max(widths, default=1))), ascii_only=ascii_only)

    @property
    def padding(self) -> int:
        """Blank cells at both sides of a token and its marks."""
        return 1 if self.roomy else 0

    @property
    def cell(self) -> int:
        """Columns of one cell."""
        return self.inner + MARKS + 2 * self.padding

    @property
    def width(self) -> int:
        """Columns of the grid."""
        return self.layout.columns * self.cell + -(-self.layout.columns // self.layout.box_columns) + 1

    @property
    def height(self) -> int:
        """Rows of the grid."""
        lines = -(-self.layout.rows // self.layout.box_rows)
        return self.layout.rows + lines + 1 + (self.layout.rows - lines if self.roomy else 0)

    @property
    def sizes(self) -> tuple[GridFace, GridFace]:
        """The grid as it can be drawn, the larger one first."""
        return replace(self, roomy=True), replace(self, roomy=False)

    def fitting(self, tokens: int, width: int, height: int) -> GridFace | None:
        """Return the largest grid for a width and a height in cells, in their middle.

        None if this number of tokens is no grid, or the columns are too few; too few rows are scrolled.
        """
        found = next((face for face in self.sizes if face.width <= width and face.height <= height), self.sizes[-1])
        if tokens > self.layout.cells or found.width > width:
            return None
        return replace(found, indent=(width - found.width) // 2)

    def line(self, place: int) -> str:
        """Return a line across the grid: the first 1, one between boxes 2, the last 3, none but the sides 0."""
        across, down = PLAIN_SIDES if self.ascii_only else SIDES
        corners = PLAIN_CORNERS if self.ascii_only else CORNERS
        left, middle, right = corners[3 * place - 3 : 3 * place] if place else (down,) * 3
        columns, box = self.layout.columns, self.layout.box_columns
        parts = [(across if place else " ") * (min(box, columns - at) * self.cell) for at in range(0, columns, box)]
        return left + middle.join(parts) + right

    @property
    def side(self) -> str:
        """The line down between boxes."""
        return (PLAIN_SIDES if self.ascii_only else SIDES)[1]
