"""Watching a model that is still being trained: between two runs the newest checkpoint takes the place of the last.

The engine makes a model of it (`engine.models.readers.training_run.export_newest`); here only its files are looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from engine.files import run_layout
from engine.models.catalogue import place
from engine.records import ModelChoice
from remdm_tui.link.base import Link
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import events as e
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.watch.session import WatchSession

POLL_INTERVAL = 1.0
"""Seconds between looks at the checkpoint."""
READING_TIME = 4.0
"""Seconds that a finished text stays, so that it can be read."""


def training_run(model: str, elsewhere: bool) -> Path:
    """The directory of the training run that a model's name is.  Raises ValueError where it is none.

    elsewhere: whether the engine is on another machine, whose files are not seen here.
    """
    if elsewhere:
        raise ValueError("--follow looks at the files of this machine: log in there and watch without --on")
    run = place(model)
    if run is None or not run.is_dir() or (run / "config.json").exists():
        raise ValueError(f"--follow takes --model with the directory of a training run, as runs/mine, not {model!r}")
    return run


class FollowedRun(WatchSession):
    """`WatchSession` of a training run.  Raises ValueError where the model is none.

    A run on screen is never cut short, and a view that was moved back, or looks at a position, stays: r and n take the
    newer checkpoint at once.  Another model, once picked, is watched as any other.
    """

    def __init__(
        self,
        options: WatchOptions,
        make_link: Callable[[], Link],
        tape: RunRecording | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._run = training_run(options.model.name, bool(options.where))
        self._seen: run_layout.Stamp | None = None
        """the checkpoint that was loaded last"""
        self._told: run_layout.Stamp | None = None
        """the newer one that was spoken of last"""
        self._looked = self._moved = clock()
        """when the checkpoint was last looked at, and when something last went on on screen"""
        self._awaited = False
        """whether the first checkpoint is waited for"""
        super().__init__(options, make_link, tape)

    def start(self) -> None:
        if run_layout.stamp(self._run) is not None:
            super().start()
        else:
            self._dispatch(e.Start(f"waiting for the first checkpoint in {self._run}"))
            self._awaited = self.progress is not None

    def tick(self, seconds: float) -> None:
        super().tick(seconds)
        now = self._clock()
        if not (self.idle and self.live and self.player.done and self.debug.inspector.at is None):
            self._moved = now
        if now - self._looked >= POLL_INTERVAL:
            self._looked = now
            self._look(now - self._moved >= READING_TIME)

    def cancel(self) -> None:
        self._awaited = False
        super().cancel()

    def restart(self, by: int) -> None:
        if self._newer is None or not self.begun or self.progress is not None:
            super().restart(by)
        else:
            self._dispatch(e.Load(self.choice, by))

    @property
    def _newer(self) -> run_layout.Stamp | None:
        """The checkpoint that is there now if it is not the one that was loaded last."""
        now = run_layout.stamp(self._run) if self.choice == self.options.model else None
        return None if now == self._seen else now

    def _look(self, read: bool) -> None:
        """Load a newer checkpoint, or say that there is one.

        read: whether the text has been on screen for as long as it takes to read it.
        """
        newer = self._newer
        if newer is None or not self.state.alive:
            return
        if self._awaited:
            self._awaited = False
            self.load(self.choice)
        elif self.live:
            if read:
                self.load(self.choice)
            elif newer != self._told:
                self._told = newer
                self.notice = Notice("a newer checkpoint is there: it comes when this run has ended, or now with r")

    def _opened(self, choice: ModelChoice) -> None:
        if choice == self.options.model:
            self._seen = run_layout.stamp(self._run)

    def _went_live(self) -> None:
        made = run_layout.read_made(self._run / run_layout.NEWEST)
        if made.step is not None and self.choice == self.options.model and not self.notice.text:
            why = f" ({made.note})" if made.note else ""
            self.notice = Notice(
                f"the model of step {made.step:,}{why}; training goes on, and its next checkpoint comes here"
            )
