"""The runs of the session on screen: their list, one of them opened, two compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from engine.recording import Recording
from engine.sampling.trace import Record
from remdm_tui.link.replay import ReplayLink, replay_options
from remdm_tui.render.canvas import plain_text
from remdm_tui.screens.compare_runs import CompareRunsScreen
from remdm_tui.screens.earlier_run import EarlierRunScreen
from remdm_tui.screens.panels.controls import Controls
from remdm_tui.screens.runs import RunsScreen
from remdm_tui.screens.watch import WatchScreen
from remdm_tui.ui.refresh import RefreshClock
from remdm_tui.watch import player as playing
from remdm_tui.watch.left_runs import LeftRun, RunSummary, last_branch
from remdm_tui.watch.run_recording import RunRecording, describe_error
from remdm_tui.watch.session import WatchSession


class SessionRuns:
    """Opens the list of runs above the live screen, and a run above that."""

    def __init__(self, main: WatchScreen, clock: Callable[[], float]) -> None:
        self._main, self._clock = main, clock
        self._session, self._options = main.session, main.options
        self._opened: tuple[WatchSession, RefreshClock, bool] | None = None
        """session and clock of the run that is open, and whether the live run was playing"""

    # -- the list

    def show(self) -> None:
        """Open the list."""
        if not self._session.has_record:
            self._main.controls.say("No run has begun yet", "note")
            return
        recording = self._session.recording
        self._main.app.push_screen(
            RunsScreen(
                self._live, lambda: recording.left.listed, self._open, self._compare, self._keep,
                recording.left.remove, self._main.controls.keys, self._options.ascii,
            )
        )  # fmt: skip

    def _live(self) -> tuple[RunSummary, str] | None:
        """Return the run on screen and its file; None if nothing is recorded."""
        summary = self._session.recording.summary(self._session.state.branch)
        return None if summary is None else (summary, self._session.recording.name)

    def _keep(self, run: LeftRun, path: str) -> str:
        try:
            return self._session.recording.keep_left(run, Path(path).expanduser())
        except OSError as error:
            raise ValueError(describe_error(error)) from None

    # -- one run

    def _open(self, run: LeftRun) -> None:
        """Show a run at its end, and pause the live one.  Raises ValueError if its file cannot be read."""
        recording = _opened(run)
        plain, app, branch = self._options.ascii, self._main.app, last_branch(recording)
        options = replace(replay_options(recording, branch, ascii_only=plain), mouse=self._options.mouse)
        make_link = partial(ReplayLink, recording, branch, self._session.strategies)
        session = WatchSession(options, make_link, RunRecording(recording=recording))
        controls = Controls(session, options, self._main.controls.table)
        summary = run.summary
        title = f"run {summary.number}, seed {summary.seed}, read-only"
        screen = EarlierRunScreen(controls, title, self._back)
        clock = RefreshClock(screen, self._clock)
        live = self._session.player
        self._opened = session, clock, live.playing
        self._main.controls.play(playing.seek(live, live.position))
        app.pop_screen()
        app.push_screen(screen)
        app.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Begin to draw the opened run, whose widgets are there by now."""
        if self._opened is None:
            return
        session, clock, _ = self._opened
        session.start()
        session.tick(0)
        session.player = playing.seek(session.player, session.recorded)
        clock.start()
        clock.tick()

    def _back(self) -> None:
        """Go back to the live run, which plays on if it did."""
        if self._opened is None:
            return
        (session, clock, played), self._opened = self._opened, None
        clock.stop()
        self._main.app.pop_screen()
        session.close()
        session.recording.recording.close()
        player = self._session.player
        if played and not player.done:
            player = replace(player, playing=True)
        self._main.controls.play(player)

    # -- two runs

    def _compare(self, run: LeftRun) -> None:
        """Show a run beside the live one.  Raises ValueError if one of them is in no file."""
        live, trace = self._live(), self._session.trace
        if live is None or trace is None:
            raise ValueError(self._session.recording.problem or "The live run has no recording to compare with")
        recording = _opened(run)
        try:
            earlier, sample = recording.trace(last_branch(recording)), self._session.sample
            shared = min(sample, recording.header.batch - 1)
            runs = [
                (f"run {run.summary.number}", run.summary, _text(earlier, recording, shared)),
                (f"run {live[0].number}, live", live[0], _text(trace, self._session.recording.recording, sample)),
            ]
        finally:
            recording.close()
        self._main.app.push_screen(CompareRunsScreen(runs, self._options.ascii))


def _opened(run: LeftRun) -> Recording:
    """Open a run.  Raises ValueError if its file cannot be read."""
    try:
        return run.open()
    except OSError as error:
        raise ValueError(f"Cannot open run {run.summary.number}: {describe_error(error)}") from None


def _text(trace: Record, recording: Recording, sample: int) -> str:
    """Return the text of the last step."""
    model = recording.model
    return plain_text(trace, len(trace), sample, model.pieces, model.fragments)
