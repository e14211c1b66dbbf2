"""The engine process: commands on standard input, events on standard output (see `engine.wire`).

The terminal starts `python -m engine.serve`, on another host through ssh or any other launcher.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from engine import __version__, strategies, wire
from engine.debug import command_handler
from engine.debug.claims import claims_of
from engine.debug.command_handler import CommandHandler
from engine.debug.messages import DebugCommand
from engine.debug.recorded_steps import RecordedSteps
from engine.records import ModelChoice
from engine.strategies.validation import StrategyError
from engine.system.priority import lower_priority, lower_session_priority
from engine.system.reports import ReportTimer
from engine.system.streams import streams
from engine.text import infill

if TYPE_CHECKING:
    from engine.models import TextModel
    from engine.models.progress import LoadProgress
    from engine.sampling.session import Session

POLL_INTERVAL = 0.5
"""Seconds between two checks of a strategy's file while the engine is idle."""


Work = Literal["wait", "recompute", "step"]


class Server:
    """Serves one model and one run at a time; answers every command by events, in order."""

    def __init__(
        self,
        send: Callable[[wire.Event], None],
        load: Callable[[ModelChoice, LoadProgress], TextModel],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load, self._clock = load, clock
        self._send = send
        self._model: TextModel | None = None
        self._handler = CommandHandler(send)
        self._recorded: RecordedSteps | None = None
        """the recorded steps to recompute before anything else; None: none"""
        self._reports = ReportTimer(clock)

    @property
    def _session(self) -> Session | None:
        return self._handler.session

    def serve(self, inbox: queue.SimpleQueue[wire.Command | None]) -> None:
        """Until None or Quit: handle all commands, then take one step if there is credit."""
        self._send(wire.Hello(strategies.catalogue(), strategies.others().problems))
        while True:
            work = self._work
            try:
                if work != "wait" or not self._handler.polls:
                    command = inbox.get(block=work == "wait")
                else:
                    command = inbox.get(timeout=POLL_INTERVAL)
            except queue.Empty:
                self._compute(work)
                continue
            match command:
                case None | wire.Quit():
                    return
                case wire.Open(choice):
                    self._guard("load", partial(self._open, choice))
                case wire.Begin():
                    self._guard("begin", partial(self._begin, command))
                case wire.Configure(settings):
                    self._guard("debug", partial(self._configure, settings))
                case wire.Credit():
                    self._handler.credit = self._handler.credit.granted(command)
                case wire.CheckModel():
                    self._guard("check", self._check_model)
                case _:
                    self._guard("debug", partial(self._debug, command))

    @property
    def _work(self) -> Work:
        """What to do while no command waits."""
        if self._session is None:
            return "wait"
        if self._recorded is not None:
            return "recompute"
        return "step" if self._handler.credit.steps > 0 else "wait"

    def _compute(self, work: Work) -> None:
        """Recompute or take one step."""
        if work == "recompute":
            self._guard("begin", self._replay)
            return
        self._guard("debug", self._handler.poll)
        if self._work == "step":
            self._guard("step", self._step)

    def _guard(self, stage: Literal["load", "begin", "step", "check", "debug"], action: Callable[[], None]) -> None:
        """Run an action and report any exception: the process outlives faults in models and strategies."""
        try:
            action()
        except StrategyError as error:
            self._handler.credit = self._handler.credit.void()
            if stage == "begin":
                self._handler.session = self._recorded = None
                self._send(wire.Failed(stage, str(error), error.detail))
            else:
                self._handler.failed(error)
        except BaseException as error:  # third-party code can raise anything; Ctrl+C is the terminal's
            if stage in ("load", "begin"):
                self._handler.session = self._recorded = None
            self._handler.credit = self._handler.credit.void()
            reason = str(error) or type(error).__name__
            self._send(wire.Failed(stage, reason, traceback.format_exc()))

    def _open(self, choice: ModelChoice) -> None:
        """Load a model and report progress."""
        # two models at once may not fit the device
        self._handler.session = self._recorded = self._model = None
        stage = f"loading {choice.name}"
        self._send(wire.Loading(stage))
        reports = ReportTimer(self._clock, stage)

        def progress(stage: str, done: int, total: int) -> None:
            if reports.due(stage):
                self._send(wire.Loading(stage, done, total))

        self._model = self._load(choice, progress)
        self._send(wire.Ready(self._model.info))
        for reason in self._handler.monitor.use_pieces(self._model.info.pieces, self._model.info.fragments):
            self._send(wire.Rejected(reason, "Break"))

    def _begin(self, command: wire.Begin) -> None:
        """Start a run, or prepare to recompute one."""
        from engine.sampling.session import Session

        if self._model is None:
            raise ValueError("no model is loaded")
        choice = command.choice
        self._handler.session, self._handler.run, self._handler.credit = None, command.run, self._handler.credit.void()
        prompt = self._model.prompt(choice.prompt, choice.chat, choice.infill, choice.special)
        steps = choice.steps_after(sum(infill.fixed(prompt, self._model.mask_id)))
        first = command.past[0][1] if command.at else command.settings
        blocks = {name: getattr(choice, name) for name in ("block_length", "stride", "strides", "first")}
        session = Session(
            self._model, steps=steps, length=choice.length, batch=choice.batch, seed=choice.seed, prompt=prompt,
            branch=command.branch, **blocks, **self._handler.bound(first),
        )  # fmt: skip
        tokens = _tokens(session)
        self._handler.begin(session, command.branch)
        self._recorded = RecordedSteps.of(command)
        self._reports = ReportTimer(self._clock)
        locked = session.locked.to("cpu").numpy()
        self._send(wire.Began(self._handler.run, wire.Array.of(tokens), wire.Array.of(locked), steps, choice.seed))

    def _replay(self) -> None:
        """Recompute one frame that the terminal has, under its recorded settings."""
        session, recorded = self._session, self._recorded
        assert session is not None
        assert recorded is not None
        changed = recorded.past.get(session.index)
        if changed is not None and session.index:
            session.set(**self._handler.bound(changed))
        edit, config = recorded.edits.get(session.index), session.config
        frame = next(session, None) if edit is None else session.edit(edit)
        if frame is None:
            raise ValueError(f"the run has {session.index} steps, so it cannot continue after {recorded.at}")
        self._handler.monitor.check(session.branch, frame, None, claims_of(config.strategy))
        if session.index == recorded.at:
            session.set(**self._handler.bound(recorded.settings))
            self._recorded = None
            self._send(wire.Resumed(self._handler.run, wire.Array.of(_tokens(session))))
        elif self._reports.due():
            self._send(wire.Replaying(self._handler.run, session.index, recorded.at))

    def _configure(self, settings: wire.SettingsData) -> None:
        """Use settings from the next new step on; refuse invalid ones."""
        if self._session is None:
            return
        try:
            bound = self._handler.bound(settings)
            if self._recorded is not None:
                # recorded steps keep their settings
                settings.settings().checked()
                self._recorded = replace(self._recorded, settings=settings)
            else:
                self._session.set(**bound)
        except ValueError as error:
            self._send(wire.Rejected(str(error), "Configure"))

    def _debug(self, command: DebugCommand) -> None:
        """Handle a command of the debugger; refuse it if it is invalid."""
        try:
            if self._recorded is not None and isinstance(command, command_handler.AT_STEP):
                raise ValueError("The recorded steps are being recomputed. Try again afterwards")
            self._handler.handle(command)
        except ValueError as error:
            self._send(wire.Rejected(str(error), type(command).__name__))
            return
        if isinstance(command, command_handler.MOVES):
            self._handler.credit = self._handler.credit.void()
        if isinstance(command, wire.Fork):
            self._recorded = RecordedSteps.of(command)

    def _step(self) -> None:
        """Take the next step of the branches that are stepped."""
        session = self._session
        assert session is not None
        current = session.branch
        session.switch(self._handler.turn())
        try:
            self._take(session)
        except StrategyError as error:
            self._handler.failed(error, session.index)
        finally:
            session.switch(current)
        if self._handler.ended:
            self._handler.credit = self._handler.credit.void()

    def _take(self, session: Session) -> None:
        """Take one step of the current branch."""
        config = session.config
        frame = next(session, None)
        if frame is None:
            # `Finished` settles the step that was requested
            self._handler.credit = self._handler.credit.spent()
            self._send(wire.Finished(self._handler.run, session.branch))
            return
        if frame.edit is None:
            # a repeated edit is not a step
            self._handler.credit = self._handler.credit.spent()
        self._handler.publish(frame, config)

    def _check_model(self) -> None:
        """Measure the model's loss on a short text."""
        from engine.sampling.self_check import self_check

        if self._model is None:
            raise ValueError("no model is loaded")
        self._send(wire.Checked(self_check(self._model, self._model.codec)))


def _tokens(session: Session) -> NDArray[np.int32]:
    """Return the canvas, [B, L]."""
    return session.tokens.to("cpu").numpy().astype(np.int32)


def load(choice: ModelChoice, progress: LoadProgress) -> TextModel:
    """Load a model; imports torch only now, so that the terminal gets the strategies first."""
    from engine.evaluation.identity import identity
    from engine.models import load_choice

    model = load_choice(choice, progress)
    # digests of large files are cached, so that only new ones are read again
    model.fingerprint = identity(
        choice, model.outside, lambda done, total: progress("reading the model's files", done, total)
    )
    return model


def main() -> None:
    """Serve on the standard streams of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lower_priority()
    inbox: queue.SimpleQueue[wire.Command | None] = queue.SimpleQueue()
    writing = threading.Lock()
    receive, out, restore = streams()

    def read() -> None:
        try:
            for command in wire.commands(receive):
                if isinstance(command, wire.Quit):
                    break
                inbox.put(command)
        except (ValueError, OSError) as error:
            print(error, file=sys.stderr)
        # the terminal has closed its end
        with suppress(OSError):
            restore()
        os._exit(0)

    def send(event: wire.Event) -> None:
        # downloads report from their own threads
        with writing:
            wire.write(out, event)

    def load_model(choice: ModelChoice, progress: LoadProgress) -> TextModel:
        model = load(choice, progress)
        # loading runs at normal priority, because the person waits for it; sampling does not
        lower_session_priority()
        return model

    threading.Thread(target=read, daemon=True, name="commands").start()
    with suppress(BrokenPipeError):
        wire.greet(out, __version__)
        Server(send, load_model).serve(inbox)


if __name__ == "__main__":
    main()
