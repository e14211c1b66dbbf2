"""Curves drawn in characters: braille dots, or plain ASCII.  Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.int32)
"""The Unicode bit of each dot, [row, column] of a cell."""
BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = ".:-=+*#@"


def dots(values: NDArray[np.float64], total: int, top: float, width: int, height: int) -> NDArray[np.int32]:
    """Return braille bits [height, width] of a curve over `total` steps with values in 0 to `top`; nan is left out."""
    bits = np.zeros((height, width), dtype=np.int32)
    if len(values) == 0 or top <= 0:
        return bits
    # as many points as there are dot columns: the last value in each
    columns = np.arange(len(values)) * (2 * width) // max(total, len(values))
    last = np.append(np.flatnonzero(np.diff(columns)), len(values) - 1)
    x, y = columns[last], values[last]
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    level = np.clip(np.round((1 - y / top) * (4 * height - 1)), 0, 4 * height - 1).astype(int)
    np.bitwise_or.at(bits, (level // 4, x // 2), DOTS[level % 4, x % 2])
    return bits


def characters(bits: NDArray[np.int32]) -> list[str]:
    """Return one string for each row of bits."""
    return ["".join(chr(0x2800 + b) if b else " " for b in row) for row in bits.tolist()]


def ascii_rows(layers: Sequence[NDArray[np.int32]], marks: str) -> list[str]:
    """Return the curves in ASCII, one string for each row; later layers are on top."""
    height, width = layers[0].shape
    rows = [[" "] * width for _ in range(height)]
    for bits, mark in zip(layers, marks, strict=True):
        for y, x in zip(*np.nonzero(bits), strict=True):
            rows[int(y)][int(x)] = mark
    return ["".join(row) for row in rows]


def bars(values: NDArray[np.float64], total: int, width: int, ascii_only: bool = False) -> str:
    """Return a sparkline of the largest value in each column, scaled to the largest of all; 0 is a space."""
    glyphs = ASCII_BARS if ascii_only else BARS
    if len(values) == 0 or width <= 0:
        return " " * max(width, 0)
    columns = np.arange(len(values)) * width // max(total, len(values))
    highest = np.zeros(width)
    np.maximum.at(highest, columns, np.nan_to_num(values))
    top = highest.max()
    if top <= 0:
        return " " * width
    level = np.ceil(highest / top * len(glyphs)).astype(int)
    return "".join(glyphs[i - 1] if i else " " for i in level)
