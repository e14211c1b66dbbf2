"""What escape does on the watch screen: the first thing that there is to cancel or to close."""

from __future__ import annotations

from textual.screen import Screen

from remdm_tui.screens.panels.controls import Controls
from remdm_tui.screens.panels.panel_zoom import PanelZoom
from remdm_tui.screens.panels.text import TextPanel


class Escape:
    """Cancels and closes on one screen."""

    def __init__(self, screen: Screen[None], controls: Controls, text: TextPanel, zoom: PanelZoom) -> None:
        self._screen, self._controls, self._text, self._zoom = screen, controls, text, zoom
        self._session = controls.session

    def press(self) -> None:
        """Cancel what is running; else close the box below the text or the message, or clear the focus."""
        session, debug, view = self._session, self._session.debug, self._text.panes.active
        if session.state.waiting:
            session.cancel()
        elif self._zoom.restore():
            pass
        elif view.marked:
            view.use_cursor(debug.inspector.at)
            session.dismiss()
        elif debug.inspector.at is not None or debug.findings.failure is not None:
            debug.close_failure()
            self._text.look_at(None)
        elif self._has_message:
            session.dismiss()
        elif self._screen.focused is None:
            self._controls.say("Nothing to close")
        else:
            self._screen.set_focus(None)
        self._controls.wake()

    @property
    def pending(self) -> bool:
        """Whether there is something to cancel or to close; the focus does not count."""
        debug, zoom = self._session.debug, self._zoom
        open_ = debug.inspector.at is not None or debug.findings.failure is not None
        open_ = open_ or bool(zoom.zoomed or zoom.drawer or self._text.panes.active.marked)
        return self._session.state.waiting or self._has_message or open_ or bool(debug.inspector.searching)

    @property
    def _has_message(self) -> bool:
        """Whether the message row has something that can be closed."""
        session = self._session
        found = session.debug.findings.at(session.debug.branches.current, session.position)
        return session.has_record and bool(session.notice.text or found)
