"""Lint a run when it has ended, in a thread of its own, and say once what was found."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable

from engine.recording import Recording
from remdm_tui.console.sanitize import sanitize
from remdm_tui.watch.key_names import key
from remdm_tui.watch.state import SessionState

STEPS_PER_REST, REST = 8, 0.002
"""Steps that are read in a row, and seconds left to the screen after them."""
KEEP = f"{key('keep')}: keep the recording, then remdm-tui lint"


class RunLint:
    """Lints each run of a session once; another thread reads the recording."""

    def __init__(self, read: Callable[[], Recording]) -> None:
        """read: returns the recording of the run on screen; raises ValueError if the run is in no file."""
        self._read = read
        self._done = 0
        """number of the last run that was linted"""
        self._found: tuple[int, str] | None = None
        """run and line that is still to be shown"""

    def tick(self, state: SessionState, name: str) -> str:
        """Start to lint a run that has ended; return the line to show, once, when it can be shown, else "".

        name: the file of the run; empty for a spool.
        """
        shown = {pane.branch for pane in state.panes.panes} or {state.branch}
        if state.live and not state.read_only and state.runs > self._done and shown <= state.branches.ended:
            self._done = state.runs
            try:
                recording = self._read()
            except ValueError:
                return ""  # the run is in no file
            threading.Thread(
                target=self._lint, args=(recording, state.runs, name), daemon=True, name="lint"
            ).start()  # fmt: skip
        if self._found is None or state.notice.text or state.player.playing:
            return ""
        (run, line), self._found = self._found, None
        return line if run == state.runs else ""

    def _lint(self, recording: Recording, run: int, name: str) -> None:
        """Lint a copy of the recording; called by the thread."""
        # what it imports would delay the first picture
        from engine import lint

        steps = 0

        def rest() -> None:
            nonlocal steps
            steps += 1
            if steps % STEPS_PER_REST == 0:
                time.sleep(REST)

        try:
            copy = recording.copy()
            try:
                found = lint.note(lint.lint_recording(copy, pause=rest))
            finally:
                copy.close()
        except (ValueError, OSError):
            # the screen reports a damaged file where it draws it
            return
        if found:
            how = sanitize(f"remdm-tui lint {shlex.quote(name)}", cells=True) if name else KEEP
            self._found = run, f"{sanitize(found, cells=True)} ({how})"
