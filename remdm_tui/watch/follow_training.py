"""Watch a model during its training: between two runs, load the newest checkpoint.

The engine exports the model (`engine.models.readers.training_run.export_newest`); this module only looks at the files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from engine.files import run_layout
from engine.models.catalogue import resolve
from engine.records import ModelChoice
from remdm_tui.link.base import Link
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import events as e
from remdm_tui.watch.key_names import key
from remdm_tui.watch.notices import THIS_RUN, Notice
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.watch.session import WatchSession
from remdm_tui.watch.training_log import Losses, TrainingLog

POLL_INTERVAL = 1.0
"""Seconds between checks for a new checkpoint."""
READING_TIME = 4.0
"""Seconds that a finished text stays on screen, to be read."""


def training_run(model: str, elsewhere: bool) -> Path:
    """Return the directory of the training run that `model` names.  Raises ValueError if it names none.

    elsewhere: whether the engine is on another machine, whose files are out of reach.
    """
    if elsewhere:
        raise ValueError("--follow needs the files of the training run: log in to its machine and watch without --on")
    run = resolve(model)
    if run is None or not run.is_dir() or (run / "config.json").exists():
        raise ValueError(
            f"--follow needs --model with the directory of a training run, such as runs/mine, not {model!r}"
        )
    return run


class FollowedRun(WatchSession):
    """A `WatchSession` that follows a training run.  Raises ValueError if the model names none.

    A run on screen is never cut short, and neither is a view in the past or at a token: r and n load the newer
    checkpoint at once.  Another model, once picked, is watched without following.
    """

    def __init__(
        self,
        options: WatchOptions,
        make_link: Callable[[], Link],
        recording: RunRecording | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._run = training_run(options.model.name, bool(options.where))
        self._log = TrainingLog(self._run)
        self._loaded: run_layout.Stamp | None = None
        """the checkpoint that was last loaded"""
        self._announced: run_layout.Stamp | None = None
        """the newer checkpoint that was last announced"""
        self._polled = self._moved = clock()
        """when the checkpoint was last checked, and when the screen last changed"""
        self._waits = False
        """whether the session waits for the first checkpoint"""
        self._step: int | None = None
        """the step of the checkpoint that the run on screen is of"""
        super().__init__(options, make_link, recording)

    def start(self) -> None:
        if run_layout.stamp(self._run) is not None:
            super().start()
        else:
            self._dispatch(e.Start(f"waiting for the first checkpoint in {self._run}"))
            self._waits = self.progress is not None

    def tick(self, seconds: float) -> bool:
        heard, before = super().tick(seconds), self.training
        now = self._clock()
        if not (self.idle and self.live and self.player.done and self.debug.inspector.at is None):
            self._moved = now
        if now - self._polled >= POLL_INTERVAL:
            self._polled = now
            self._log.poll()
            self._poll(now - self._moved >= READING_TIME)
        return heard or self.training is not before

    @property
    def training(self) -> Losses | None:
        """The step and the losses of the run; None before its first step, and for another model."""
        return self._log.losses if self.state.choice == self.options.model else None

    @property
    def model_step(self) -> int | None:
        return self._step

    @property
    def idle(self) -> bool:
        # a first checkpoint may take hours, and the slow clock looks for it too
        return self._waits or super().idle

    def cancel(self) -> None:
        self._waits = False
        super().cancel()

    def restart(self, by: int) -> None:
        if self._newer is None or not self.has_record or self.progress is not None:
            super().restart(by)
        else:
            self._dispatch(e.Load(self.state.choice, by))

    @property
    def _newer(self) -> run_layout.Stamp | None:
        """The present checkpoint if it is not the one that was last loaded."""
        stamp = run_layout.stamp(self._run) if self.state.choice == self.options.model else None
        return None if stamp == self._loaded else stamp

    def _poll(self, read: bool) -> None:
        """Load a newer checkpoint, or announce it.

        read: whether the text has been on screen long enough to be read.
        """
        newer = self._newer
        if newer is None or not self.state.alive:
            return
        if self._waits:
            self._waits = False
            self.load(self.state.choice)
        elif self.live:
            if read and self.state.observed.replaceable:
                self.load(self.state.choice)
            elif newer != self._announced:
                self._announced = newer
                self.notice = Notice(f"New checkpoint: loads after this run ({key('restart')}: now)", ends=THIS_RUN)

    def _opened(self, choice: ModelChoice) -> None:
        if choice == self.options.model:
            self._loaded = run_layout.stamp(self._run)

    def _went_live(self) -> None:
        exported = run_layout.read_exported(self._run / run_layout.NEWEST)
        self._step = exported.step if self.state.choice == self.options.model else None
        if self._step is not None and not self.notice.error:
            note = f" ({exported.note})" if exported.note else ""
            self._log.poll()
            losses = self.training
            ended = losses is not None and 0 < losses.steps <= self._step
            following = "The training run has ended" if ended else "The next checkpoint loads by itself"
            self.notice = Notice(f"Model of step {self._step:,}{note}. {following}", ends=THIS_RUN)
