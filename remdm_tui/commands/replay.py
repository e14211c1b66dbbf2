"""`replay`: a recording in the live view, without a model, or continued by one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from engine.recording import Recording
from engine.records import ModelChoice
from engine.strategies import catalogue
from remdm_tui.link.process import ProcessLink
from remdm_tui.link.replay import ReplayLink, replay_options
from remdm_tui.preferences import startup
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch.run_recording import RunRecording


def run(
    path: Path,
    *,
    branch: int = 0,
    model: ModelChoice | None = None,
    ascii_only: bool = False,
    mouse: bool = True,
    may_consent: bool = True,
) -> int:
    """Show a recording until the user quits, and return the exit status.

    model: continues the run in the same file; None: the recording is only replayed.  Raises ValueError for a file that
    is not a recording or lacks the branch, OSError for a missing file.
    """
    from remdm_tui.ui.key_table import KEYS

    recording = Recording.open(path)
    try:
        preferences = startup.read_preferences(KEYS)
        options = startup.apply_preferences(
            replay_options(recording, branch, ascii_only=ascii_only, mouse=mouse), preferences
        )
        options = replace(options, may_consent=may_consent)
        if model is None:
            return show(
                options,
                partial(ReplayLink, recording, branch, catalogue()),
                RunRecording(recording=recording),
                preferences,
            )
        options = replace(options, model=model, record=path, run=recording.header.run, branch=branch)
        return show(options, ProcessLink, RunRecording(recording=recording, resume=True), preferences)
    finally:
        recording.close()


def show(
    options: WatchOptions,
    make_link: partial[ReplayLink] | type[ProcessLink],
    recording: RunRecording,
    preferences: Preferences,
) -> int:
    """Run the application, and return the exit status."""
    from remdm_tui.app import WatchApp
    from remdm_tui.ui.run_app import run_app

    app = WatchApp(options, make_link, recording=recording, preferences=preferences)
    return run_app(app, app.watching, options.mouse)
