"""The search of the text: ask for a text, mark where it occurs, and go from match to match."""

from __future__ import annotations

from collections.abc import Callable

from textual.widget import Widget

from remdm_tui.screens.bottom_line import BottomLine, LineHistory
from remdm_tui.screens.panels.controls import Controls
from remdm_tui.watch.inspector import matches, neighbour
from remdm_tui.watch.notices import Notice


class TextSearch:
    """Searches the step on screen."""

    def __init__(self, panel: Widget, controls: Controls, look_at: Callable[[int], None]) -> None:
        """look_at: selects a position."""
        self._panel, self._controls, self._session = panel, controls, controls.session
        self._look_at = look_at
        self._history = LineHistory()

    def ask(self) -> None:
        """Ask for a text to search."""
        question = "a text, or a /pattern/ that a token must match; matches stay marked until escape"
        plain = self._controls.options.ascii
        self._panel.app.push_screen(
            BottomLine("search ", self.search, self._history, describe=lambda _: question, ascii_only=plain)
        )

    def search(self, text: str) -> None:
        """Mark the occurrences of a text and select the next.  Raises ValueError if it does not occur."""
        if self._session.trace is None:
            return
        if not self._matches(text):
            raise ValueError(f"{text!r} does not occur in this step")
        self._session.debug.search(text)
        self.match(1)
        self._panel.refresh_bindings()

    def match(self, by: int) -> None:
        """Select the next or previous match of the search."""
        inspector = self._session.debug.inspector
        starts = self._matches(inspector.searching)
        at = neighbour(starts, inspector.at, by)
        if at is None:
            self._controls.say(f"{inspector.searching!r} does not occur in this step", "note")
            return
        self._look_at(at)
        number = f"match {starts.index(at) + 1} of {len(starts)}"
        self._controls.say(f"{number}: n next, N previous, esc ends the search", "note")

    def end(self) -> None:
        """Remove the marks; the selection stays."""
        self._session.debug.search("")
        self._session.notice = Notice()
        self._panel.refresh_bindings()
        self._controls.wake()

    def _matches(self, text: str) -> tuple[int, ...]:
        """Return where a text occurs in the step on screen.  Raises ValueError for a bad pattern."""
        session = self._session
        if session.trace is None or session.model is None:
            return ()
        position, sample = session.position, session.sample
        canvas = session.trace.tokens(position, sample), session.trace.change(position, sample)
        return matches(text, *canvas, session.model.pieces, session.model.fragments).starts
