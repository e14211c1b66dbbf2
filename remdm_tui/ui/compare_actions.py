"""Several branches on one screen: what is drawn of them, and what the keys of comparing do."""

from __future__ import annotations

from textual import on

from engine.sampling.trace import Record
from remdm_tui.render.canvas import canvas
from remdm_tui.render.panels import Chart, Overlay
from remdm_tui.screens.compare import CompareScreen
from remdm_tui.settings.pane_spec import settings_of, titled
from remdm_tui.ui import panel_data
from remdm_tui.ui.debug_actions import DebugApp
from remdm_tui.watch.panes import LETTERS, Pane, PaneGroup
from remdm_tui.widgets.curves import CurvesPanel
from remdm_tui.widgets.panes import Caption, Panes
from remdm_tui.widgets.token_grid import TokenGrid


class CompareApp(DebugApp):
    """An application whose grid is one of several; who inherits it owns the rest of the screen."""

    _panes: Panes
    _curves: CurvesPanel

    @property
    def _comparing(self) -> PaneGroup:
        return self.watching.debug.comparing

    @property
    def _grid(self) -> TokenGrid:
        """That of the pane that has the focus."""
        return self._panes.grids[self._comparing.index]

    def _is_new(self, what: str, now: object) -> bool:
        """Whether this differs from what was drawn last."""
        raise NotImplementedError

    # -- drawing

    def _arrange(self) -> None:
        """As many grids as panes, and the cursor in that which has the focus."""
        comparing = self._comparing
        several = len(comparing.panes) > 1
        if self._is_new("panes", (several and comparing.panes, comparing.index)):
            self.screen.set_class(several, "-comparing")
            self._panes.show_panes(max(1, len(comparing.panes)), comparing.index)
            for grid in self._panes.grids:
                grid.use_cursor(self.watching.debug.inspector.at if grid is self._grid else None)

    @property
    def _whole(self) -> bool:
        """Whether all of what was shown is drawn."""
        return all(self._panes.grids[number].whole for number in self._panes.arrangement.shown)

    def _draw_grids(self, trace: Record, ready: bool, room: int) -> bool:
        """What a paint of so many bytes has room for; whether there is anything new in it, which `ready` allows."""
        comparing, against, drawn = self._comparing, self.watching.debug.branching.against, False
        shown = self._panes.arrangement.shown
        marks = None if against is None else (comparing.focus, against, self.watching.player.position)
        for number in shown:
            pane = comparing.panes[number] if comparing.panes else None
            record, grid = trace if pane is None else pane.record, self._panes.grids[number]
            position, sample = comparing.position(record), self.watching.sample
            now = (record, position, sample, against if pane is None else marks)
            if ready and self._is_new("canvas" if number == 0 else f"canvas {number}", now):
                branching = self.watching.debug.branching
                different = branching.different(position) if pane is None else comparing.different(pane)
                grid.show(canvas(record, position, sample, different), room // len(shown))
                drawn = True
            elif not grid.whole:
                grid.go_on(room // len(shown))
        return drawn

    def _show_captions(self) -> None:
        """What every pane is, and how far it has come."""
        if self._comparing.panes:
            self._panes.caption([self._caption(letter, pane) for letter, pane in zip(LETTERS, self._comparing.panes)])

    def _caption(self, letter: str, pane: Pane) -> Caption:
        watching, comparing = self.watching, self._comparing
        at, sample = comparing.position(pane.record), watching.sample
        title = f"{letter} {titled(comparing.settings(pane), watching.strategies)}"
        frame, figures = pane.record.frame(at), pane.record.figures(at, sample)
        if frame is None or figures is None:
            return Caption(title, "at the start")
        left = f"{figures.masked} masked" if figures.masked else f"entropy {figures.entropy:.2f}"
        done = watching.debug.branching.has_ended(pane.branch) and at == len(pane.record)
        until = f"ended at {at}, " if done and at < watching.player.position else ""
        return Caption(title, f"{until}{frame.network_calls} calls, {left}")

    def _charts(self, trace: Record, position: int) -> list[Chart | Overlay]:
        """The curves of the run, those of all panes laid over one another."""
        comparing, sample = self._comparing, self.watching.sample
        if not comparing.panes:
            with_band = panel_data.banded(trace, self.watching.strategies)
            return list(panel_data.charts(trace, position, sample, with_band))
        panes = [
            (letter, pane.record, comparing.position(pane.record)) for letter, pane in zip(LETTERS, comparing.panes)
        ]
        return list(panel_data.overlays(panes, sample))

    def _total(self, trace: Record) -> int:
        """Steps of the longest run on screen."""
        records = [pane.record for pane in self._comparing.panes] or [trace]
        return max(map(panel_data.total_steps, records))

    # -- what people do

    @on(Panes.Chosen)
    def _pane_chosen(self, event: Panes.Chosen) -> None:
        comparing = self._comparing
        if event.number < len(comparing.panes):
            comparing.look_at(comparing.panes[event.number].branch)
            self._focused()

    @on(TokenGrid.Pointed)
    def _pointed(self, event: TokenGrid.Pointed) -> None:
        comparing = self._comparing
        number = next((i for i, grid in enumerate(self._panes.grids) if grid is event.grid), 0)
        if number < len(comparing.panes):
            comparing.look_at(comparing.panes[number].branch)
            self._focused()
        self._look_at(event.position)

    def action_panes(self) -> None:
        """Put the branches side by side, or one alone; where there is one, ask for another."""
        comparing = self._comparing
        if comparing.panes:
            comparing.close()
        elif self.watching.trace is None:
            return
        elif not comparing.open():
            self.action_add_pane()
            return
        self._focused()

    def action_add_pane(self) -> None:
        """Begin another branch at the start, in a pane."""
        watching, comparing = self.watching, self._comparing
        if watching.trace is None:
            return

        def add(text: str) -> None:
            comparing.add(settings_of(text, watching.settings, watching.strategies))
            self._focused()

        if not watching.live or not watching.recording.writable:
            self._say_so("there is no engine here to begin another branch")
        else:
            self.push_screen(CompareScreen(watching.strategies, add, self.options.ascii))

    def action_focus_pane(self, by: int) -> None:
        """To the next pane, or the one before."""
        if self._comparing.panes:
            self._comparing.turn(by)
            self._focused()

    def _focused(self) -> None:
        """The panes are others, or another has the focus."""
        self._arrange()
        hidden = self._panes.hidden
        if hidden:
            shown = len(self._comparing.panes) - hidden
            self._say_so(f"{shown} of {len(self._comparing.panes)} panes fit here: tab goes to the others", error=False)
        self._wake()
