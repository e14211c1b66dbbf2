"""Run the application and return its exit status."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.traceback import Traceback
from textual.app import App

from remdm_tui.console.output import print_error, print_note
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import sanitize
from remdm_tui.console.signals import FAILED, SIGNALLED
from remdm_tui.watch.session import WatchSession

BAD_INPUT = 2


def run_app(app: App[None], session: WatchSession, mouse: bool) -> int:
    """Run until the person quits; return the exit status.

    0: quit.  1: a bug, whose traceback is on standard error.  2: nothing could be watched; one sentence says why.
    128 + N: signal N has ended it, or (129) its terminal has gone.
    """
    # a traceback quotes values of strangers
    app.error_console = SafeConsole(stderr=True, markup=False, highlight=False)
    with crashing_threads(app):
        app.run(mouse=mouse)
    if session.recording.files:
        print_note(f"remdm-tui: recorded {', '.join(map(sanitize, session.recording.files))}")
    for number, reason in session.recording.unrecorded.items():
        print_note(f"remdm-tui: run {number} is in no file: {sanitize(reason)}")
    status = app.return_code or 0
    if status == FAILED or status > SIGNALLED:
        return status
    if session.failure is not None:
        print_error(session.failure)
        return BAD_INPUT
    return status


@contextmanager
def crashing_threads(app: App[None]) -> Iterator[None]:
    """End the application with the traceback if one of its threads fails."""
    before = threading.excepthook

    def failed(args: Any) -> None:
        if args.exc_value is None or not app.is_running:
            before(args)
            return
        app.call_later(app.panic, Traceback.from_exception(args.exc_type, args.exc_value, args.exc_traceback))

    threading.excepthook = failed
    try:
        yield
    finally:
        threading.excepthook = before
