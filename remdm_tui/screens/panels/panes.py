"""The panes with their keys: branches side by side and their colours."""

from __future__ import annotations

from textual import on
from textual.binding import Binding
from textual.message import Message

from remdm_tui.render.plate_modes import MODES
from remdm_tui.screens.compare import CompareScreen
from remdm_tui.screens.panels.controls import Controls, needs_run
from remdm_tui.settings.pane_spec import pane_settings
from remdm_tui.watch.panes import LETTERS, PaneGroup
from remdm_tui.widgets.map_cells import MapCells
from remdm_tui.widgets.panes import Panes
from remdm_tui.widgets.token_grid import TokenGrid
from remdm_tui.widgets.trajectory_map import TrajectoryMap

PANES = (
    Binding("c", "panes", "Compare", id="compare", tooltip="Show branches side by side, or one alone"),
    Binding(
        "A",
        "add_pane",
        "Compare with another strategy",
        id="add-pane",
        show=False,
        tooltip="Begin another strategy beside this one, with the same flips",
    ),
    Binding(
        "tab",
        "focus_pane(1)",
        "Next pane",
        id="pane-next",
        show=False,
        tooltip="Focus the next pane; without panes the next panel",
    ),
    Binding(
        "shift+tab", "focus_pane(-1)", "Previous pane", id="pane-previous", show=False, tooltip="Focus the pane before"
    ),
    Binding("C", "colour(1)", "Colour by ...", id="colour", show=False, tooltip=f"Take the next of {', '.join(MODES)}"),
)
COSTS = "one network call for each step shown while paused"
"""What drafts and entropies take from the sampler."""


class PanesPanel(Panes):
    """Opens and closes panes; its grids and maps take the focus."""

    BINDINGS = [*PANES]
    NAME = "panes"

    def __init__(self, controls: Controls) -> None:
        super().__init__(len(LETTERS), ascii_only=controls.options.ascii, id="panes")
        self.controls, self.session = controls, controls.session
        self.mode = MODES["state"]
        """what the colour of text and map stands for"""
        self._arranged: object = None

    class Coloured(Message):
        """Colours and marks of the text mean something else."""

    @property
    def group(self) -> PaneGroup:
        return self.session.debug.panes

    @property
    def active(self) -> TokenGrid:
        """The grid of the focused pane."""
        return self.grids[self.group.index]

    @property
    def active_map(self) -> TrajectoryMap:
        """The map of the focused pane."""
        return self.maps[self.group.index]

    def update_panes(self) -> None:
        """Show one grid per pane, with the cursor in the active one."""
        group = self.group
        several = len(group.panes) > 1
        now = (several and group.panes, group.index)
        if now == self._arranged:
            return
        self._arranged = now
        self.show_panes(max(1, len(group.panes)), group.index)
        for grid in self.grids:
            grid.use_cursor(self.session.debug.inspector.at if grid is self.active else None)

    def activate(self, number: int) -> None:
        """Make a pane the active one."""
        group = self.group
        if number < len(group.panes):
            group.look_at(group.panes[number].branch)
            self._rearranged()

    @on(Panes.PaneChosen)
    def _chosen(self, event: Panes.PaneChosen) -> None:
        self.activate(event.number)
        self.active.focus(scroll_visible=False)

    @needs_run
    def action_panes(self) -> None:
        """Toggle between split view and one branch; with only one, ask for another."""
        group = self.group
        if group.panes:
            group.close()
        elif not group.open():
            self.action_add_pane()
            return
        self._rearranged()

    @needs_run
    def action_add_pane(self) -> None:
        """Ask for a strategy and begin a branch of it in a new pane."""
        session = self.session

        def add(text: str) -> None:
            # the engine can end while the user types
            if obstacle := self.controls.obstacle:
                raise ValueError(obstacle)
            with self.controls.naming_keys():
                self.group.add(pane_settings(text, session.upcoming, session.strategies))
            self._rearranged()

        if obstacle := self.controls.obstacle:
            self.controls.say(obstacle)
        else:
            self.app.push_screen(CompareScreen(session.strategies, add, self.controls.options.ascii))

    def action_focus_pane(self, by: int) -> None:
        """Focus the next or previous pane; without panes, the next or previous panel."""
        if self.group.panes:
            self.group.turn(by)
            self._rearranged()
        elif by > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    @needs_run
    def action_colour(self, by: int) -> None:
        """Colour text and map by the next mode."""
        # without an engine no mode that asks one
        names = [mode.name for mode in MODES.values() if not (mode.network and self.controls.obstacle)]
        names = names if self.mode.name in names else [*names, self.mode.name]
        self.colour_by(names[(names.index(self.mode.name) + by) % len(names)])

    def colour_by(self, name: str) -> None:
        """Colour text and map by a mode."""
        left, self.mode = self.mode, MODES[name]
        self.session.debug.colour_by_entropy(self.mode.network)
        if self.mode.network:
            self.controls.say(f"Colour by {name}: {COSTS}", "note")
        elif left.network:
            self.session.dismiss()
        self.use_mode(self.mode)
        self.post_message(self.Coloured())
        self.controls.wake()

    # -- the maps

    def recolour_maps(self) -> None:
        for one in self.maps:
            one.cells.recolour()

    @on(MapCells.Viewed)
    def _viewed(self, event: MapCells.Viewed) -> None:
        """Show the same part of every run."""
        for one in self.maps:
            if one.cells is not event.cells:
                one.cells.use(event.cells.view, event.cells.mode, event.cells.marks)
            one.caption()
        self.controls.wake()

    @on(MapCells.ViewRefused)
    def _refused(self, event: MapCells.ViewRefused) -> None:
        self.controls.say(event.sentence)

    def _rearranged(self) -> None:
        """Draw changed panes or a changed focus."""
        self.update_panes()
        if self.hidden:
            count, tab = len(self.group.panes), self.controls.keys["pane-next"]
            self.controls.say(f"{count - self.hidden} of {count} panes fit here ({tab}: next pane)", "note")
        self.controls.wake()
