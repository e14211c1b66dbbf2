"""The command line of the watch screen: ask for a command, and carry it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from engine.records import Knob
from remdm_tui.exports import EXPORT_KINDS
from remdm_tui.screens.bottom_line import BottomLine, LineHistory
from remdm_tui.screens.exporting import Exporter
from remdm_tui.screens.panels.controls import Controls
from remdm_tui.screens.panels.knobs import KnobsPanel
from remdm_tui.settings.knobs import knob_text
from remdm_tui.watch import command_line as c
from remdm_tui.watch.run_recording import SUFFIX


class Commander:
    """Asks for commands and carries them out on one screen."""

    def __init__(
        self, screen: Screen[Any], controls: Controls, knobs: KnobsPanel, exporter: Exporter,
        columns: Callable[[], int],
    ) -> None:  # fmt: skip
        """columns: returns the width of the text, which an export takes over."""
        self._screen, self._session, self._controls = screen, controls.session, controls
        self._knobs, self._exporter, self._columns = knobs, exporter, columns
        self._history = LineHistory()

    def known(self) -> c.Vocabulary:
        """Return what can be named now."""
        session = self._session
        return c.Vocabulary(
            session.settings, session.strategies, session.recorded, tuple(EXPORT_KINDS), SUFFIX.removeprefix("."),
            f"run-{session.seed}",
        )  # fmt: skip

    def ask(self) -> None:
        """Open the line."""
        self._screen.app.push_screen(
            BottomLine(
                c.SIGN, self.run, self._history, ascii_only=self._controls.options.ascii,
                describe=lambda text: c.describe_line(text, self.known()),
                complete=lambda text: c.complete(text, self.known()),
            )
        )  # fmt: skip

    def run(self, text: str) -> None:
        """Carry out a command.  Raises ValueError for an unknown command, and for one that is impossible now."""
        session, controls = self._session, self._controls
        match c.parse_command(text, self.known()):
            case c.GoToStep(step):
                controls.seek(step)
            case c.SetKnob(name, value):
                self._set_knob(name, value)
            case c.AddBreakpoint(condition):
                session.debug.add_breakpoint(condition)
                controls.say(f"Stops at: {session.debug.breakpoints.listed[-1].text}", "note")
            case c.Keep(file):
                session.keep(file)
                controls.wake()
            case c.Export(file):
                self._exporter.export(file, self._columns())
            case c.QuitSession():
                self._screen.app.call_later(self._screen.app.action_quit)

    def _set_knob(self, name: str, value: Knob) -> None:
        """Set a knob, and show that if no other message is shown."""
        session = self._session
        if session.has_record and not session.recording.writable:
            raise ValueError(self._controls.obstacle)
        self._knobs.set_knob(name, value)
        if not session.notice.text:
            self._controls.say(f"{name} {knob_text(value)} from the next step on", "note")
