"""The application: one screen of widgets, and how it begins and ends."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from textual.app import ComposeResult, SystemCommand
from textual.containers import Horizontal, Vertical
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widgets import Footer, Label, Static

from engine.records import Change
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.base import Link
from remdm_tui.link.process import ENGINE, ProcessLink
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.render.palette import palette
from remdm_tui.settings.knobs import STRATEGY
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.key_table import KEYS
from remdm_tui.ui.metered_driver import metered
from remdm_tui.ui.output_filter import SafeFilter
from remdm_tui.ui.refresh import HEARTBEAT, PAINTS, SMALLEST, PaintedApp
from remdm_tui.ui.run_app import run_app
from remdm_tui.watch.follow_training import FollowedRun
from remdm_tui.watch.panes import LETTERS
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.watch.session import WatchSession
from remdm_tui.widgets.branch_tree import BranchTree
from remdm_tui.widgets.curves import CurvesPanel
from remdm_tui.widgets.figures import FiguresPanel
from remdm_tui.widgets.inspector import InspectorPanel
from remdm_tui.widgets.knob_panel import KnobPanel
from remdm_tui.widgets.panes import Panes
from remdm_tui.widgets.timeline import Timeline

SAFE = SafeFilter()


class WatchApp(PaintedApp):
    """Watch one run."""

    CSS_PATH = "app.tcss"
    TITLE = "remdm-tui"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (SMALLEST[0], "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (SMALLEST[1], "-low"), (32, "-tall")]
    BINDINGS = [*KEYS]

    def __init__(
        self,
        options: WatchOptions,
        make_link: Callable[[], Link] = ProcessLink,
        clock: Callable[[], float] = time.monotonic,
        tape: RunRecording | None = None,
        comfort: Preferences = Preferences(),  # noqa: B008  (frozen)
    ) -> None:
        super().__init__(clock)
        self.options, self.comfort = options, comfort
        self.watching = (FollowedRun if options.follow else WatchSession)(options, make_link, tape)

    def get_driver_class(self) -> type[Driver]:
        return metered(super().get_driver_class())

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), SAFE]

    # -- the screen

    def compose(self) -> ComposeResult:
        plain = self.options.ascii
        # kept, not queried for: the paint clock may beat once more while the screen is taken down
        self._status = Label("", id="status", markup=False)
        self._panes = Panes(len(LETTERS), ascii_only=plain, id="panes")
        self._figures = FiguresPanel(id="figures", markup=False)
        self._knobs = KnobPanel(ascii_only=plain, id="knobs")
        self._branches = BranchTree(ascii_only=plain, id="branches")
        self._branches_box = Vertical(id="branches-box", classes="box")
        self._curves = CurvesPanel(ascii_only=plain, id="curves")
        self._timeline = Timeline(ascii_only=plain, id="timeline")
        self._inspector = InspectorPanel(id="inspector", classes="box", markup=False)
        self._failure = Static("", id="failure", classes="box", markup=False)
        self._law = Label("", id="law", markup=False)
        self._banner = Label("", id="banner", markup=False)
        yield self._status
        with Horizontal(id="main"):
            self._text = Vertical(id="text")
            with self._text:
                yield self._panes
                yield self._inspector
                yield self._failure
            with Vertical(id="side"):
                with Vertical(id="figures-box", classes="box"):
                    yield self._figures
                with Vertical(id="knobs-box", classes="box"):
                    yield self._knobs
                with self._branches_box:
                    yield self._branches
                with Vertical(id="curves-box", classes="box"):
                    yield self._curves
        yield self._timeline
        yield self._law
        yield self._banner
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.set_class(self.options.ascii, "ascii")
        for name, title in (
            ("figures-box", "this step"),
            ("knobs-box", "knobs"),
            ("branches-box", "branches"),
            ("curves-box", "the run"),
        ):
            self.query_one(f"#{name}").border_title = title
        # the first thing that is painted says what is being waited for
        self._grid.message(f"loading {sanitize(self.options.model.name, cells=True)} ...")
        self._retheme()
        self.theme_changed_signal.subscribe(self, lambda _: self._retheme())
        self._fast = self.set_interval(1 / PAINTS, self._tick)
        self.set_interval(HEARTBEAT, self._listen)
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        if not gc.isenabled():
            # what the command has loaded until now lives until the end: the collector need not walk it again
            gc.freeze()
            gc.enable()
        self.watching.start()
        if self.watching.begun:
            self.call_later(self._tick)

    def _retheme(self) -> None:
        colours = palette(self.current_theme.dark, self.options.ascii)
        self._panes.use_palette(colours)
        shown = [look for state, look in colours.looks.items() if self.options.prompt or state != Change.LOCKED]
        legend = " ".join(
            f"[{look.style}]{look.fill}[/]{look.name}" if look.fill else f"[{look.style}] {look.name} [/]"
            for look in shown
        )
        self._text.border_subtitle = legend

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)
        for info in self.watching.strategies:
            yield SystemCommand(f"Strategy: {info.name}", info.summary, lambda n=info.name: self._turn(STRATEGY, n))

    def on_unmount(self) -> None:
        self.watching.close()


def run(options: WatchOptions, comfort: Preferences) -> int:
    """Watch until the person quits; return the exit status."""
    command = options.command or ENGINE
    return run_app(WatchApp(options, partial(ProcessLink, command), comfort=comfort), options.mouse)
