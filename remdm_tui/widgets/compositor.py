"""Textual's compositor, less what it does in vain when a small part of the screen changes."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from textual._compositor import Compositor, CompositorUpdate
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

MOST = 4_096
"""Regions of which is remembered what is in front there."""


class PartsUpdate(CompositorUpdate):
    """Lines that are written where they begin."""

    def __init__(self, lines: list[tuple[int, int, Strip]]) -> None:
        """lines: the column and the row of each."""
        self.lines = lines

    def render_segments(self, console: Console) -> str:
        return "".join([f"\x1b[{y + 1};{x + 1}H{strip.render(console)}" for x, y, strip in self.lines])


class DirtyCompositor(Compositor):
    """Asks each widget only for the lines that have changed, and only where it is in front.

    Textual asks all in the smallest rectangle around the changes, and those behind them, and cuts every line where any
    widget begins or ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._layout: dict[Widget, tuple[Region, Region]] = {}
        """the widgets on screen, of which `_fronts` is known"""
        self._fronts: dict[Region, list[tuple[Widget, Region, Region]]] = {}
        """by region: what is in front there"""

    def clear(self) -> None:
        super().clear()
        self._layout, self._fronts = {}, {}

    def render_partial_update(self) -> PartsUpdate | None:  # type: ignore[override]
        changes = self._dirty_regions.copy()
        self._dirty_regions.clear()
        if not changes:
            return None
        lines: list[tuple[int, int, Strip]] = []
        for change in changes:
            for widget, part, own in self._front(change):
                width = part.width
                for y, strip in zip(part.line_range, widget.render_lines(own)):
                    lines.append((part.x, y, strip if strip.cell_length <= width else strip.crop(0, width)))
        return PartsUpdate(lines)

    def _front(self, change: Region) -> list[tuple[Widget, Region, Region]]:
        """Return the widgets that are in front in a region, each with its part of it on the screen and in itself."""
        if self._layout is not self.visible_widgets or len(self._fronts) > MOST:
            self._layout, self._fronts = self.visible_widgets, {}
        if change not in self._fronts:
            self._fronts[change] = list(self._found(change))
        return self._fronts[change]

    def _found(self, change: Region) -> Iterator[tuple[Widget, Region, Region]]:
        left = [change]
        # those in front come first
        for widget, (region, clip) in self.visible_widgets.items():
            visible, rest = region.intersection(clip), list[Region]()
            for one in left:
                part = visible.intersection(one)
                if part:
                    yield widget, part, part.translate(-region.offset)
                    rest += around(one, part)
                else:
                    rest.append(one)
            left = rest


def around(whole: Region, part: Region) -> list[Region]:
    """Return what is left of a region without a part of it: above, on both sides, and below."""
    regions = (
        Region(whole.x, whole.y, whole.width, part.y - whole.y),
        Region(whole.x, part.y, part.x - whole.x, part.height),
        Region(part.right, part.y, whole.right - part.right, part.height),
        Region(whole.x, part.bottom, whole.width, whole.bottom - part.bottom),
    )
    return [region for region in regions if region]
