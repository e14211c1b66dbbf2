"""Progress lines.  Pure."""

from __future__ import annotations

import math

WIDEST_BAR = 24
UNITS = ("B", "kB", "MB", "GB", "TB")
EIGHTHS = " ▏▎▍▌▋▊▉█"


def format_size(done: int, total: int = 0) -> str:
    """Return a number of bytes in short form: `1.2 of 3.4 GB`, or `1.2 GB` if the total is unknown (0)."""
    power = min(len(UNITS) - 1, max(0, math.floor(math.log10(max(total, done, 1)) / 3)))
    digits = 1 if power else 0
    first = f"{done / 1000**power:.{digits}f}"
    return f"{first} of {total / 1000**power:.{digits}f} {UNITS[power]}" if total else f"{first} {UNITS[power]}"


def bar(fraction: float, width: int, ascii_only: bool) -> str:
    """Return a bar of `width` cells, filled to `fraction` in [0, 1]."""
    fraction = min(1.0, max(0.0, fraction))
    if ascii_only:
        full = int(fraction * width)
        return f"[{'#' * full:<{width}}]"
    eighths = int(fraction * width * 8)
    part = EIGHTHS[eighths % 8] if eighths % 8 else ""
    return f"{'█' * (eighths // 8) + part:<{width}}"


def loading_line(stage: str, done: int, total: int, width: int, ascii_only: bool) -> str:
    """Return `downloading org/name  ███▌      1.2 of 3.4 GB  35 %`, without the bar if it exceeds `width` cells."""
    if not total:
        return f"{stage}  {format_size(done)}" if done else f"{stage} ..."
    amount = f"{format_size(done, total)}  {min(100, 100 * done // total)} %"
    return _joined(stage, done / total, amount, width, ascii_only)


def steps_line(stage: str, done: int, total: int, width: int, ascii_only: bool) -> str:
    """Return `loading_line` for steps instead of bytes."""
    return _joined(stage, done / max(1, total), f"step {done} of {total}", width, ascii_only)


def _joined(stage: str, fraction: float, amount: str, width: int, ascii_only: bool) -> str:
    cells = min(WIDEST_BAR, width - len(stage) - len(amount) - (6 if ascii_only else 4))
    drawn = f"{bar(fraction, cells, ascii_only)}  " if cells >= 4 else ""
    return f"{stage}  {drawn}{amount}"
