"""The dialogs of the watch screen: open each with what the session knows now, and do what is chosen there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.screen import Screen

from engine.records import ModelChoice
from remdm_tui.link.replay import READ_ONLY
from remdm_tui.render.palette import Palette
from remdm_tui.screens.about import AboutScreen
from remdm_tui.screens.breakpoints import BreakpointScreen
from remdm_tui.screens.help import HelpScreen
from remdm_tui.screens.line import LineScreen
from remdm_tui.screens.models import ModelScreen
from remdm_tui.screens.overview import OverviewScreen
from remdm_tui.screens.panels.controls import Controls
from remdm_tui.screens.panels.panel_zoom import MAP
from remdm_tui.screens.panels.panes import PanesPanel
from remdm_tui.screens.watch_keys import DECLARED, LOCAL, SEARCHING
from remdm_tui.settings.pane_spec import titled
from remdm_tui.watch.available_models import available_models
from remdm_tui.watch.key_names import key
from remdm_tui.watch.overview import overview_row
from remdm_tui.watch.panes import LETTERS
from remdm_tui.watch.run_recording import SUFFIX


class WatchDialogs:
    """Opens dialogs over one screen."""

    def __init__(self, screen: Screen[Any], controls: Controls, panes: PanesPanel) -> None:
        self._screen, self._controls, self._panes = screen, controls, panes
        self._session, self._options = controls.session, controls.options

    def overview(self) -> None:
        """List all panes, or all samples of the batch, with their figures at the step on screen."""
        session, group = self._session, self._panes.group
        trace, model, sample = session.trace, session.model, session.sample
        assert trace is not None
        assert model is not None
        if group.panes:
            named = [
                f"{letter} {titled(group.settings(pane), session.strategies)}"
                for letter, pane in zip(LETTERS, group.panes)
            ]
            rows = [
                overview_row(name, pane.record, group.position(pane.record), sample, model)
                for name, pane in zip(named, group.panes)
            ]
            title, what, at = f"panes at step {session.player.position}", "pane", group.index
        elif self._options.batch > 1:
            position, samples = session.position, range(len(trace.start.tokens))
            rows = [overview_row(str(number + 1), trace, position, number, model) for number in samples]
            title, what, at = f"samples at step {position}", "sample", sample
        else:
            self._controls.say(f"Only one sample: --batch draws more, {key('compare')} compares")
            return

        def open_row(number: int | None) -> None:
            if number is None:
                return
            if group.panes:
                self._panes.activate(number)
            else:
                session.sample = number
            self._controls.wake()

        self._screen.app.push_screen(OverviewScreen(title, what, rows, at, self._options.ascii), open_row)

    def breakpoints(self) -> None:
        """List the breakpoints."""
        debug = self._session.debug
        self._screen.app.push_screen(
            BreakpointScreen(
                lambda: debug.breakpoints.listed, debug.add_breakpoint, debug.toggle_breakpoint,
                debug.remove_breakpoint, self._options.ascii,
            )
        )  # fmt: skip

    def keep(self) -> None:
        """Ask for the file to keep the recording in."""
        recording = self._session.recording
        question = f"Recording to {recording.name}. Copy it to:" if recording.name else "File to record to:"
        here = f"run-{self._session.seed}{SUFFIX}"
        self._screen.app.push_screen(
            LineScreen("keep the recording", question, here, self._options.ascii, self._session.keep),
            lambda _: self._controls.wake(),
        )

    def model(self, reason: str) -> None:
        """Ask for a model; `reason` says why one is needed."""
        if isinstance(self._screen.app.screen, ModelScreen):
            return
        if self._session.state.read_only:
            self._controls.say(READ_ONLY)
            return
        found, options = available_models(Path.cwd(), bool(self._options.where)), self._options
        self._screen.app.push_screen(
            ModelScreen(self._session.state.choice, found, reason, options.ascii, options.may_consent), self._load
        )

    def _load(self, choice: ModelChoice | None) -> None:
        if choice is not None:
            self._session.load(choice)
            self._controls.wake()

    def about(self) -> None:
        """Show the model, and measure its loss there."""
        session = self._session

        def measure() -> None:
            session.check_model()
            self._controls.wake()

        if session.model is None:
            self._controls.say("No model yet")
        else:
            self._screen.app.push_screen(
                AboutScreen(session.model, measure, lambda: session.state.check, self._options.ascii)
            )

    def help(self, panels: Sequence[str], colours: Palette) -> None:
        """List the keys, those of the focused `panels` first; do what is chosen there."""
        panel = MAP if MAP in panels else panels[-1] if panels else ""
        own = {binding.id or "" for owner, binding in DECLARED if owner in panels}
        own |= {binding.id or "" for binding in LOCAL if binding.panel in panels}
        table = self._controls.table
        keys = [(one.id or "", table.readable(one), one.description, one.tooltip) for one in table.bound()]
        keys += [("", table.readable(one), f"{one.description}, in a search", one.tooltip) for one in SEARCHING]

        async def do(name: str | None) -> None:
            action = next((one.action for one in table.bound() if name and one.id == name), "")
            if action:
                await self._screen.app.run_action(action, self._screen)

        self._screen.app.push_screen(HelpScreen(keys, colours, self._options.ascii, panel=panel, own=own), do)
