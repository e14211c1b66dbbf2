"""The map with its caption: every position at every step on one plate."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from engine.sampling.trace import Record
from engine.text.counts import counted
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.plate_modes import Mode
from remdm_tui.render.plate_paint import Marks
from remdm_tui.render.viewport import Viewport
from remdm_tui.widgets.map_cells import MapCells


class TrajectoryMap(Vertical):
    """The cells below a line that says what they are."""

    DEFAULT_CSS = "TrajectoryMap { height: 1fr; }"

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id, classes="map")
        self.can_focus = False
        self._ascii = ascii_only
        self.key = ""
        """the key that goes to the map, before its title"""
        self.cells = MapCells(ascii_only=ascii_only)
        self._captioned: tuple[object, ...] = ()
        """what the caption was last made of"""

    def compose(self) -> ComposeResult:
        yield self.cells

    def show(self, record: Record, sample: int, total: int, step: int, at: int | None) -> bool:
        """Show as `MapCells.show`, and what is shown above it."""
        whole = self.cells.show(record, sample, total, step, at)
        self.caption()
        return whole

    def caption(self) -> None:
        """Write size, zoom and colour mode."""
        cells = self.cells
        if cells.view is None:
            return
        drawn = self.key, cells.view, cells.mode, cells.effective_marks, self.size.width
        if drawn == self._captioned:
            return
        self._captioned = drawn
        before = f"{self.key} " if self.key else ""
        room = self.size.width - 4 - len(before)
        title = Content(before + map_title(cells.view, cells.mode, drawn[3], room))
        if self.border_title != title.markup:
            self.border_title = title


def map_title(view: Viewport, mode: Mode, marks: Marks, room: int) -> str:
    """Return what the map shows, as much of it as fits in `room` columns; a part that does not is left out whole."""
    parts = [f"map: {counted(view.positions, 'position')} x {counted(view.steps - 1, 'step')}"]
    if not view.is_whole:
        last = view.top + view.rows - 1, view.left + view.columns - 1
        parts += [f"zoom {view.factor:.3g}", f"positions {view.top}-{last[0]}, steps {view.left}-{last[1]}"]
    if mode.name != "state":
        parts.insert(1, mode.name)
    legend = mode.legend
    if marks in (paint.ASCII, paint.SIGNS) and not mode.levels:
        legend = paint.LEGENDS["ascii" if marks is paint.ASCII else "signs"]
    title = parts[0]
    for part in [*parts[1:], legend]:
        longer = f"{title} - {part}"
        title = longer if len(longer) <= room else title
    return title
