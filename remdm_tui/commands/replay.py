"""`replay`: a recording in the live view, without a model."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from engine.recording import Recording
from remdm_tui.replaying import ReplayLink, options_of


def run(path: Path, *, branch: int = 0, ascii_only: bool = False, mouse: bool = True) -> int:
    """Show it until the person quits; the exit code, after one sentence on stderr where nothing could be shown.

    Raises ValueError for a file that is no recording or has no such branch, OSError where there is none.
    """
    recording = Recording.open(path)
    try:
        options = options_of(recording, branch, ascii_only=ascii_only, mouse=mouse)
        from remdm_tui.app import WatchApp

        app = WatchApp(options, partial(ReplayLink, recording, branch))
        app.run(mouse=mouse)
        if app.watching.failure is not None:
            print(f"remdm-tui: {app.watching.failure}", file=sys.stderr)  # noqa: T201
            return 2
        return app.return_code or 0
    finally:
        recording.close()
