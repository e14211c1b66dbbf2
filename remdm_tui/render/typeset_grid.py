"""Typeset a sample's tokens as a grid: cells, the lines around its boxes, and marks beside tokens.  Pure."""

from __future__ import annotations

from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size

from engine.records import Change
from remdm_tui.render.grid_face import GridFace
from remdm_tui.render.token_codes import CONFLICT, CURSOR, FRAME, WRONG
from remdm_tui.render.typeset import HIDDEN, Canvas, Page, Type

LOCKED = ("[", "]")
"""Around a token that no sampler touches."""
REPEATED = "!"
"""Before a token that stands twice where it may stand once."""
DIFFERS = ("≠", "#")
"""Behind a token that differs from the solution; in ASCII the second."""

CellRun = tuple[str, int]
"""A text and the code of its style."""


def typeset_grid(canvas: Canvas, codes: NDArray[np.uint8], type_: Type, face: GridFace) -> Page:
    """Set the tokens [L] of a canvas into the cells of a grid, which may be more."""
    layout, length = face.layout, len(canvas.tokens)
    cells = _cells(canvas, codes.tolist(), type_, face)
    cells += [[(" " * face.cell, int(Change.HELD))]] * (layout.cells - length)
    side: CellRun = (face.side, FRAME)
    lines: list[list[CellRun]] = []
    rows: list[int] = []
    for row in range(layout.rows):
        first = row * layout.columns
        if row % layout.box_rows == 0:
            lines.append([(face.line(2 if row else 1), FRAME)])
        elif face.roomy:
            lines.append([(face.line(0), FRAME)])
        boxes = range(first, first + layout.columns, layout.box_columns)
        ends = (min(at + layout.box_columns, first + layout.columns) for at in boxes)
        lines.append([run for at, end in zip(boxes, ends) for run in (side, *chain(*cells[at:end]))] + [side])
        rows += [min(first, length)] * (len(lines) - len(rows))
    lines.append([(face.line(3), FRAME)])
    return _page([_joined([(" " * face.indent, int(Change.HELD)), *line]) for line in lines], rows, length, face)


def _cells(canvas: Canvas, codes: list[int], type_: Type, face: GridFace) -> list[list[CellRun]]:
    """Return the runs of each token's cell."""
    nowhere = np.zeros(len(codes), bool)
    repeats = (nowhere if canvas.repeats is None else canvas.repeats).tolist()
    wrong = (nowhere if canvas.wrong is None else canvas.wrong).tolist()
    drafts = [-1] * len(codes) if canvas.drafts is None else canvas.drafts.tolist()
    differs, pad = DIFFERS[face.ascii_only], " " * face.padding
    found = []
    for token, state, draft, code, twice, differing in zip(
        canvas.tokens.tolist(), canvas.change.tolist(), drafts, codes, repeats, wrong, strict=True
    ):
        if state == Change.MASKED and draft >= 0:
            text = type_.pieces.texts[draft]
        else:
            text = type_.texts[int(type_.blanks[state]) + 1] if state in HIDDEN else type_.pieces.texts[token]
        left, right = LOCKED if state == Change.LOCKED else (" ", " ")
        before = after = code
        cursor = code & CURSOR
        if twice:
            left, before = REPEATED, CONFLICT + cursor
        if differing:
            right, after = differs, WRONG + cursor
        # only the ground of a state is as wide as its cell: its underline is not
        around = int(Change.HELD) + cursor if state == Change.LOCKED else code
        found.append([(pad, around), (left, before), (_fitted(text, face), code), (right, after), (pad, around)])
    return found


def _fitted(text: str, face: GridFace) -> str:
    """Return a text in the middle of the cells that a token has."""
    if cell_len(text) > face.inner:
        text = set_cell_size(text, face.inner - 1) + ("~" if face.ascii_only else "…")
    return set_cell_size(" " * ((face.inner - cell_len(text)) // 2) + text, face.inner)


def _joined(line: list[CellRun]) -> list[CellRun]:
    """Return a line's runs, those of one style as one."""
    found: list[CellRun] = []
    for text, code in line:
        if found and found[-1][1] == code:
            found[-1] = found[-1][0] + text, code
        elif text:
            found.append((text, code))
    return found


def _page(lines: list[list[CellRun]], rows: list[int], length: int, face: GridFace) -> Page:
    """Return a page of these lines, of which those without a token begin with the next line's; rows: the first token
    of each line but the last.
    """
    layout = face.layout
    columns = np.arange(length) % layout.columns
    widths = face.cell + (columns % layout.box_columns == 0) + face.indent * (columns == 0)
    return Page(
        texts=[text for line in lines for text, _ in line],
        codes=[code for line in lines for _, code in line],
        firsts=[0, *accumulate(map(len, lines))],
        used=[face.indent + face.width] * len(lines),
        keys=["".join(text for text, _ in line).encode() + bytes(code for _, code in line) for line in lines],
        ends=[0, *np.cumsum(widths).tolist()],
        rows=[*rows, length, length],
    )
