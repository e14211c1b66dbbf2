"""Lines that cost less than Textual's: one that is cut by slicing, and one that is written without segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

_STYLE = itemgetter(1)


class BareStrip(Strip):
    """Textual gives every strip eight caches, most of which a strip that is drawn once never uses; this one has none
    until one is used.
    """

    def __init__(self, cells: int) -> None:
        self._cell_length = cells
        self._render_cache = None

    def __getattr__(self, name: str) -> Any:
        super().__init__(self._segments, self._cell_length)
        return object.__getattribute__(self, name)

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        cuts = list(cuts)
        return [self] if cuts == [self._cell_length] else super().divide(cuts)


class CellStrip(BareStrip):
    """Textual walks along a strip to cut it; this one is cut at once, and cells of one style are written as one."""

    def __init__(self, cells: Sequence[Segment]) -> None:
        super().__init__(len(cells))
        self._segments = list(cells)

    def crop(self, start: int, end: int | None = None) -> Strip:
        cells = self._segments[max(0, start) : None if end is None else max(0, end)]
        return self if len(cells) == len(self._segments) else CellStrip(cells)

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        ends = [cut for cut in cuts if cut <= len(self._segments)]
        return [self.crop(first, last) for first, last in pairwise([0, *ends])]

    def render(self, console: Console) -> str:
        if self._render_cache is None:
            system = console._color_system or ColorSystem.TRUECOLOR
            self._render_cache = "".join([
                "".join([text for text, _, _ in run]) if style is None
                else self.render_style(style, "".join([text for text, _, _ in run]), system)
                for style, run in groupby(self._segments, _STYLE)
            ])  # fmt: skip
        return self._render_cache


class RunStrip(BareStrip):
    """Runs of text with a style each, written as they are; segments are made only where the line is cut."""

    def __init__(self, texts: Sequence[str], styles: Sequence[Style], cells: int) -> None:
        self._texts, self._styles = texts, styles
        self._made: list[Segment] = []
        super().__init__(cells)

    @property
    def _segments(self) -> list[Segment]:
        if not self._made:
            self._made = list(map(Segment, self._texts, self._styles))
        return self._made

    @_segments.setter
    def _segments(self, segments: list[Segment]) -> None:
        """Ignore what Textual's constructor sets."""

    def render(self, console: Console) -> str:
        if self._render_cache is None:
            system, write = console._color_system or ColorSystem.TRUECOLOR, self.render_style
            self._render_cache = "".join([
                f"\x1b[{style._ansi}m{text}\x1b[0m" if style._ansi else write(style, text, system)
                for text, style in zip(self._texts, self._styles, strict=True)
            ])  # fmt: skip
        return self._render_cache


def shown_style(widget: Widget, style: Style) -> Style:
    """Return a style as the terminal can show it: without colour, or with the theme's for numbered ones."""
    segments, background = [Segment(" ", style)], widget.background_colors[1]
    for line_filter in widget.get_line_filters():
        segments = line_filter.apply(segments, background)
    return segments[0].style or style
