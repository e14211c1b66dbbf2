"""Draw texts and maps: one of each, or one of each pane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.debug.findings import Drafts
from engine.records import ModelInfo
from engine.sampling.trace import Record
from engine.text.counts import counted
from remdm_tui.render.canvas import canvas, drafted, marked_grid
from remdm_tui.render.plate_modes import entropy_levels
from remdm_tui.screens.panels.panes import PanesPanel
from remdm_tui.screens.watch import WatchScreen
from remdm_tui.settings.pane_spec import titled
from remdm_tui.ui import panel_data
from remdm_tui.ui.drawn import LastDrawn
from remdm_tui.watch.inspector import matches
from remdm_tui.watch.panes import LETTERS, Pane
from remdm_tui.widgets.panes import Caption


def total_on_screen(panes: PanesPanel, trace: Record) -> int:
    """Return the number of steps of the longest run on screen."""
    records = [pane.record for pane in panes.group.panes] or [trace]
    return max(map(panel_data.total_steps, records))


class TextPresenter:
    """Draws the texts and the maps of a session."""

    def __init__(self, screen: WatchScreen, drawn: LastDrawn) -> None:
        self.screen, self.session, self.options = screen, screen.session, screen.options
        self._drawn = drawn
        self.colours_whole = True
        """whether the colours of the texts have all steps that they depend on"""
        self.maps_whole = True
        """whether the maps have all that is recorded"""
        self._step: tuple[object, ...] = ()
        """what the texts show, in the terms of `_wanted`"""
        self.position = 0
        """the player's position that the texts show"""

    @property
    def in_step(self) -> bool:
        """Whether the texts show the session's step: while playing they may be behind it."""
        return self._step == self._wanted()

    def _wanted(self) -> tuple[object, ...]:
        """Return sample, records and positions of the session's step."""
        session, group = self.session, self.screen.panes.group
        records = [pane.record for pane in group.panes] or ([] if session.trace is None else [session.trace])
        return session.sample, *((record, group.position(record)) for record in records)

    @property
    def whole(self) -> bool:
        """Whether every grid has drawn all of its canvas."""
        panes = self.screen.panes
        return all(panes.grids[number].whole for number in panes.arrangement.shown)

    def draw_grids(self, ready: bool, room: int) -> bool:
        """Draw grids in at most `room` bytes; start a new canvas only if `ready`.  Return whether one was started."""
        session, panes, drawn = self.session, self.screen.panes, False
        trace, group, against = session.trace, panes.group, session.debug.branches.against
        if trace is None:
            return False
        panes.update_panes()
        self.colours_whole = True
        shown = panes.arrangement.shown
        marks = None if against is None else (group.focus, against, session.player.position)
        place = session.debug.place
        drafts = None if place is None else session.debug.drafts.at(place)
        for number in shown:
            pane = group.panes[number] if group.panes else None
            record, grid = trace if pane is None else pane.record, panes.grids[number]
            position, sample = group.position(record), session.sample
            searching = session.debug.inspector.searching
            levels = self._levels(number, record, position, sample, drafts)
            mode = panes.mode.name, levels is None, drafts, session.debug.drafts.overlay, session.debug.solution.wanted
            now = (record, position, sample, against if pane is None else marks, searching, mode)
            if ready and self._drawn.is_new("canvas" if number == 0 else f"canvas {number}", now):
                different = session.debug.branches.different(position) if pane is None else group.different(pane)
                drawing = replace(canvas(record, position, sample, different), levels=levels)
                if session.model is not None and session.model.layout is not None:
                    drawing = marked_grid(
                        drawing, session.model.layout, self._solution(session.model, record, position)
                    )
                if drafts is not None and session.debug.drafts.overlay:
                    drawing = replace(drawing, drafts=drafted(drafts, len(drawing.tokens)))
                if searching and session.model is not None:
                    words = session.model.pieces, session.model.fragments
                    found = matches(searching, drawing.tokens, drawing.change, *words)
                    drawing = replace(drawing, match=found.covered)
                grid.show(drawing, room // len(shown))
                drawn = True
            elif not grid.whole:
                grid.go_on(room // len(shown))
        if ready:
            self._step, self.position = self._wanted(), session.player.position
        return drawn

    def _solution(self, model: ModelInfo, record: Record, position: int) -> NDArray[np.int64] | None:
        """Return what a grid is compared with; None while that is not wanted, or there is no only solution."""
        marks = self.session.debug.solution
        return marks.at(model, record, position, self.session.sample).tokens if marks.wanted else None

    def _levels(
        self, number: int, record: Record, position: int, sample: int, drafts: Drafts | None
    ) -> NDArray[np.uint8] | None:
        """Return the levels of a text in the colour mode; None for its states, which stand while steps are read."""
        panes = self.screen.panes
        if not panes.mode.levels:
            return None
        if panes.mode.network:
            length = record.start.tokens.shape[1]
            return None if drafts is None else entropy_levels(drafts.positions, drafts.entropies, length)
        levels = panes.maps[number].cells.levels(record, sample, position)
        self.colours_whole = self.colours_whole and levels is not None
        return levels

    def draw_captions(self) -> None:
        """Write on the frames of the panes what each shows and its progress."""
        panes = self.screen.panes.group.panes
        if panes:
            self.screen.panes.caption([self._caption(letter, pane) for letter, pane in zip(LETTERS, panes)])

    def _caption(self, letter: str, pane: Pane) -> Caption:
        """Return what a pane shows and its progress."""
        session, group = self.session, self.screen.panes.group
        at, sample = group.position(pane.record), session.sample
        name = f"{letter} {titled(group.settings(pane), session.strategies)}"
        frame, figures = pane.record.frame(at), pane.record.figures(at, sample)
        if frame is None or figures is None:
            return Caption(name, "at the start")
        left = f"{figures.masked} masked" if figures.masked else f"entropy {figures.entropy:.2f}"
        done = session.debug.branches.has_ended(pane.branch) and at == len(pane.record)
        until = f"ended at {at}, " if done and at < session.player.position else ""
        calls = frame.network_calls / len(frame.tokens)
        return Caption(name, f"{until}{counted(calls, 'call', form='.4g')}, {left}")

    # -- the maps

    def draw_maps(self) -> None:
        """Draw the maps, or as much of them as can be read in a moment."""
        session, panes = self.session, self.screen.panes
        self.maps_whole = True
        trace = session.trace
        # the options tell before a run begins, so that its beginning moves nothing
        panes.use_length(self.options.length if trace is None else trace.start.tokens.shape[1])
        if trace is None or not panes.active_map.size.height:
            return
        group, total = panes.group, total_on_screen(panes, trace)
        for number in panes.arrangement.shown:
            pane = group.panes[number] if group.panes else None
            record = trace if pane is None else pane.record
            at = session.debug.inspector.at if number == group.index else None
            whole = panes.maps[number].show(record, session.sample, total, group.position(record), at)
            self.maps_whole = self.maps_whole and whole
