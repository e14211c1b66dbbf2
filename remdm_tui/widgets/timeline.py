"""The timeline: recorded steps, position, bookmarks, changes of settings, and what steps took back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from remdm_tui.render.plot import bars


class Timeline(Widget):
    """Two rows: bars of remasked and edited tokens, and a track; posts `Moved` on click and drag."""

    DEFAULT_CSS = "Timeline { height: 2; }"

    class Moved(Message):
        """A position was clicked or dragged to."""

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._position, self._recorded, self._total = 0, 0, 1
        self._bars = Style()
        self._lost: NDArray[np.float64] = np.zeros(0)
        self._marks: tuple[int, ...] = ()
        self._changes: tuple[int, ...] = ()

    def use_marks(self, marks: tuple[int, ...]) -> None:
        """Draw bookmarks at these positions."""
        if marks != self._marks:
            self._marks = marks
            self.refresh()

    def use_changes(self, changes: tuple[int, ...]) -> None:
        """Draw a tick at these positions, after which the settings are others."""
        if changes != self._changes:
            self._changes = changes
            self.refresh()

    def use_bars(self, style: Style) -> None:
        """Draw the bars in another style."""
        self._bars = style
        self.refresh()

    def show(self, position: int, recorded: int, total: int, lost: NDArray[np.float64]) -> None:
        """Draw `position` and `recorded` in 0 to `total`, and the tokens that each recorded step remasked or edited."""
        now = (position, recorded, max(total, recorded, 1))
        # another branch may stand at the same position
        if now != (self._position, self._recorded, self._total) or not np.array_equal(lost, self._lost):
            self._position, self._recorded, self._total = now
            self._lost = lost
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if y == 0:
            line = bars(self._lost, self._total, width, self._ascii)
            return Strip([Segment(line, base + self._bars)], width)
        full, rest, head, mark, tick = ("=", "-", "O", "#", "v") if self._ascii else ("━", "─", "●", "◆", "▾")
        end = self._cell(self._recorded)
        track = full * (end + 1) + rest * (width - end - 1)
        for positions, glyph in ((self._changes, tick), (self._marks, mark)):
            for there in {self._cell(one) for one in positions}:
                track = track[:there] + glyph + track[there + 1 :]
        at = self._cell(self._position)
        # where it stands on a mark it is one
        head = mark if self._position in self._marks else head
        return Strip(
            [
                Segment(track[:at], base),
                Segment(head, base + Style(bold=True, reverse=head == mark)),
                Segment(track[at + 1 :], base),
            ],
            width,
        )

    def _cell(self, position: int) -> int:
        return min(self.size.width - 1, round(position / self._total * (self.size.width - 1)))

    def _point(self, x: int) -> None:
        where = x / max(1, self.size.width - 1)
        self.post_message(self.Moved(min(round(where * self._total), self._recorded)))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._point(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if event.button:
            self._point(event.x)

    def on_mouse_up(self) -> None:
        self.release_mouse()
