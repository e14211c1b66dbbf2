"""The watch screen: its panels, and the keys that belong to none of them."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.dom import DOMNode
from textual.events import Resize, ScreenResume
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Label

from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.replay import READ_ONLY
from remdm_tui.screens.colour_key import ColourKey
from remdm_tui.screens.commanding import Commander
from remdm_tui.screens.escape import Escape
from remdm_tui.screens.exporting import ExportEnded, Exporter
from remdm_tui.screens.panels.branches import BranchesPanel
from remdm_tui.screens.panels.controls import Controls, needs_run
from remdm_tui.screens.panels.knobs import KnobsPanel
from remdm_tui.screens.panels.panel_zoom import MAP, PANEL_KEYS, PanelZoom
from remdm_tui.screens.panels.panes import PanesPanel
from remdm_tui.screens.panels.text import TextPanel
from remdm_tui.screens.panels.timeline import TimelinePanel
from remdm_tui.screens.watch_dialogs import WatchDialogs
from remdm_tui.screens.watch_keys import COMPARE, REFUSED, SCREEN_KEYS, SEARCHING
from remdm_tui.watch import player as playing
from remdm_tui.watch.phase import Dead, EngineFailed, Lost
from remdm_tui.widgets.compositor import DirtyCompositor
from remdm_tui.widgets.curves import CurvesPanel
from remdm_tui.widgets.figures import FiguresPanel
from remdm_tui.widgets.key_footer import KeyFooter
from remdm_tui.widgets.legend import LegendPanel
from remdm_tui.widgets.map_cells import MapCells
from remdm_tui.widgets.text_rows import TextRows


class WatchScreen(Screen[None]):
    """Watch one run.  The refresh clock passes the panels their data."""

    BINDINGS = [*SEARCHING, *SCREEN_KEYS]
    ALWAYS_SHOWN = {"help", "app.quit"}
    """Actions that the footer shows however narrow the terminal is."""
    # nothing has the focus at first, so that the footer shows the keys that work everywhere
    AUTO_FOCUS = ""

    def __init__(self, controls: Controls, id: str = "_default") -> None:
        super().__init__(id=id)
        self._compositor = DirtyCompositor()
        self.controls, self.session, self.options = controls, controls.session, controls.options
        self._resumed = False
        """whether the screen has been on top before"""
        plain = self.options.ascii
        # kept, not queried for: the refresh clock may tick once more while the screen is removed
        self.status = TextRows(id="status")
        self.text = TextPanel(controls)
        self.line = TextRows(id="line")
        """the figures, where there is no room for their panel"""
        self.figures = FiguresPanel(id="figures")
        self.knobs = KnobsPanel(controls)
        self.knobs_box = Vertical(id="knobs-box", classes="box")
        self.branches = BranchesPanel(controls, self.text.look_at)
        self.branches_box = Vertical(id="branches-box", classes="box")
        self.curves = CurvesPanel(ascii_only=plain, id="curves")
        self.timeline = TimelinePanel(controls)
        self.banner = Label("", id="banner", markup=False)
        self.colour_key = ColourKey(self, controls, self.text)
        self.exporter = Exporter(self, controls)
        self.commander = Commander(self, controls, self.knobs, self.exporter, lambda: self.text.size.width)
        self.panels: dict[str, DOMNode] = {
            panel.NAME: panel
            for panel in (self.text, self.text.panes, self.knobs, self.branches, self.timeline)
        }  # fmt: skip
        self.dialogs = WatchDialogs(self, controls, self.panes)
        self.zoom = PanelZoom(self, {
            "text": lambda: self.panes.active, "map": lambda: self.panes.active_map.cells,
            "step": lambda: self.figures, "knobs": lambda: self.knobs, "curves": lambda: self.curves,
        }, controls.wake)  # fmt: skip
        self.escape = Escape(self, controls, self.text, self.zoom)
        for one in self.panes.maps:
            one.key = self.title_key("map")

    def title_key(self, panel: str) -> str:
        """Return the key that goes to a panel, as it stands before its title."""
        return self.controls.keys[PANEL_KEYS[panel]]

    @property
    def panes(self) -> PanesPanel:
        return self.text.panes

    def compose(self) -> ComposeResult:
        # before its widgets have styles, so that they get those of this size at once
        self._use_breakpoints(self.app.size)
        yield self.status
        with Horizontal(id="main"):
            yield self.text
            with Vertical(id="side"):
                with Vertical(id="figures-box", classes="box") as box:
                    box.border_title = f"{self.title_key('step')} this step"
                    yield self.figures
                with self.knobs_box:
                    self.knobs_box.border_title = f"{self.title_key('knobs')} knobs"
                    yield self.knobs
                with self.branches_box:
                    self.branches_box.border_title = "branches"
                    yield self.branches
                with Vertical(id="curves-box", classes="box") as box:
                    box.border_title = f"{self.title_key('curves')} curves"
                    yield self.curves
        yield self.line
        yield self.timeline
        yield self.banner
        yield KeyFooter(self.ALWAYS_SHOWN, [binding.action for binding in SCREEN_KEYS], lambda: self.refused)

    def on_mount(self) -> None:
        # the first thing that is painted says what is being waited for
        self.panes.active.message(f"loading {sanitize(self.options.model.name, cells=True)} ...")
        self.retheme()
        self.app.theme_changed_signal.subscribe(self, lambda _: self.retheme())

    def on_screen_resume(self, event: ScreenResume) -> None:
        # at first its widgets have just been given their styles, each as it was mounted
        event.refresh_styles = event.refresh_styles and self._resumed
        self._resumed = True

    def on_resize(self, event: Resize) -> None:
        """Set the classes of a new size before Textual does, which lays the screen out first; then draw all again."""
        others = self._use_breakpoints(event.size)
        if event.size == self.outer_size and not others:
            # Textual has laid the screen out at this size, and says so; it would do so again
            event.prevent_default()
        # the panels know their sizes once they have been laid out
        self.call_after_refresh(self.controls.resized)

    def _use_breakpoints(self, size: Size) -> bool:
        """Set the classes of a size; return whether they were others."""
        across, down = self.app.HORIZONTAL_BREAKPOINTS or [], self.app.VERTICAL_BREAKPOINTS or []
        now = self._get_breakpoint_classes(size.width, across) | self._get_breakpoint_classes(size.height, down)
        known, before = {name for _, name in (*across, *down)}, self.classes
        self.update_classes({name: name in now for name in known}, animate=False)
        return self.classes != before

    def on_unmount(self) -> None:
        self.exporter.abandon()

    @property
    def legend(self) -> LegendPanel | None:
        """The pinned legend; None if it is not pinned."""
        return self.colour_key.pinned

    @property
    def refused(self) -> frozenset[str]:
        """The actions that what is on screen refuses: a recording that is only read does not change."""
        if not self.session.state.read_only:
            return frozenset()
        return REFUSED if len(self.session.recording.branches) > 1 else REFUSED | {COMPARE}

    def retheme(self) -> None:
        """Apply the colours of the theme."""
        colours = self.colour_key.palette
        self.panes.use_palette(colours)
        self.timeline.use_bars(colours.bars)
        self.panes.recolour_maps()
        self.colour_key.draw(colours)

    @on(PanesPanel.Coloured)
    def _coloured(self) -> None:
        self.colour_key.draw(self.colour_key.palette)

    # -- keys of the panels, wherever the focus is

    async def action_panel(self, panel: str, action: str) -> None:
        """Run an action of a panel."""
        node = self.panes.active_map.cells if panel == MAP else self.panels[panel]
        await self.app.run_action(action, node)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        ends_search = action == "end_search" or (action == "panel" and str(parameters[1]).startswith("match("))
        return not ends_search or bool(self.session.debug.inspector.searching)

    def action_end_search(self) -> None:
        self.text.finder.end()

    def action_focus_panel(self, by: int) -> None:
        """Focus the next or previous panel."""
        if by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_number(self, name: str) -> None:
        """Focus the panel of a digit; again: zoom it; again: give the room back."""
        self.zoom.press(name)
        self.controls.wake()

    def focused_panels(self) -> list[str]:
        """Return the names of the panels around the focus, the outermost last."""
        nodes: Iterable[DOMNode] = () if self.focused is None else self.focused.ancestors_with_self
        inner = [MAP] * isinstance(self.focused, MapCells)
        return inner + [name for node in nodes for name, panel in self.panels.items() if panel is node]

    @on(CurvesPanel.StepPointed)
    def _pointed_on_curves(self, event: CurvesPanel.StepPointed) -> None:
        self.controls.seek(event.step)

    # -- the run

    @needs_run
    def action_play_pause(self) -> None:
        session, controls = self.session, self.controls
        if session.player.live and not session.player.ended and isinstance(session.phase, Dead | EngineFailed | Lost):
            controls.say(controls.obstacle)
        else:
            controls.play(playing.toggle(session.player))

    def action_restart(self, by: int) -> None:
        session, notice = self.session, self.session.notice
        session.restart(by)
        if session.progress is not None and session.notice is notice:
            self.controls.say(f"The run begins with seed {session.seed}")
        self.controls.wake()

    @needs_run
    def action_sample(self, by: int) -> None:
        if self.options.batch == 1:
            self.controls.say("Only one sample: --batch draws more")
            return
        self.session.next_sample(by)
        self.controls.wake()

    @needs_run
    def action_overview(self) -> None:
        """List all panes, or all samples of the batch, with their figures at the step on screen."""
        self.dialogs.overview()

    def action_breakpoints(self) -> None:
        """Open the breakpoint dialog."""
        self.dialogs.breakpoints()

    def action_cancel(self) -> None:
        """Cancel what is running; else close the box below the text or the message, or clear the focus."""
        self.escape.press()

    # -- the model and its engine

    def action_revive(self) -> None:
        if self.session.state.read_only:
            self.controls.say(READ_ONLY)
            return
        self.session.revive()
        self.controls.say("Restarting the engine", "note")

    def action_model(self, reason: str = "") -> None:
        """Open the model dialog; `reason` says why a model is needed."""
        self.dialogs.model(reason)

    def action_about(self) -> None:
        self.dialogs.about()

    # -- the command line, files, the legend, help

    def action_command(self) -> None:
        """Open the command line."""
        self.commander.ask()

    def action_keep(self) -> None:
        """Ask for the file to keep the recording in."""
        self.dialogs.keep()

    @needs_run
    def action_export(self, kind: str = "svg") -> None:
        self.exporter.ask(kind, self.text.size.width)

    @needs_run
    def action_export_screen(self, kind: str = "svg") -> None:
        self.exporter.ask_screen(kind)

    @on(ExportEnded)
    def _exported(self, event: ExportEnded) -> None:
        self.exporter.done(event)

    def action_legend(self) -> None:
        """Toggle the legend."""
        self.colour_key.toggle()

    def action_help(self) -> None:
        """Open the help, with the keys of the focused panel first; do what is chosen there."""
        self.dialogs.help(self.focused_panels(), self.colour_key.palette)
