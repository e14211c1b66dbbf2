"""Textual's compositor, less what it does in vain when a small part of the screen changes."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip

from remdm_tui.widgets.strips import CellStrip


class NarrowUpdate(ChopsUpdate):
    """Writes of a `CellStrip` only the cells that changed; Textual writes a strip from its start up to them."""

    def render_segments(self, console: Console) -> str:
        sequences: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items()):
                if strip is None or x >= last or end <= first:
                    continue
                if isinstance(strip, CellStrip):
                    begin = max(x, first)
                    text = strip.render_part(begin - x, min(end, last) - x, console)
                else:
                    begin = x
                    text = (strip if end <= last else strip.crop(0, last - x)).render(console)
                sequences.append(f"\x1b[{y + 1};{begin + 1}H{text}")
        return "".join(sequences)


class DirtyCompositor(Compositor):
    """Asks only those widgets for lines that are in front where something changed.

    Textual asks all in the smallest rectangle around the changes, and those behind them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changes: list[Region] | None = None
        """the regions that are being painted; None: everything"""

    def render_partial_update(self) -> ChopsUpdate | None:
        self._changes = list(self._dirty_regions)
        try:
            update = super().render_partial_update()
        finally:
            self._changes = None
        return None if update is None else NarrowUpdate(update.chops, update.spans, update.chop_ends)

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if self._changes is None:
            yield from super()._get_renders(crop)
            return
        left = self._changes
        # those in front come first
        for widget, (region, clip) in self.visible_widgets.items():
            visible = region.intersection(clip)
            if not any(map(visible.overlaps, left)):
                continue
            yield region, clip, widget.render_lines(visible.translate(-region.offset))
            left = [change for change in left if not visible.contains_region(change)]
            if not left:
                return
