"""The engine as a process: commands on standard input, events on standard output (see `engine.wire`).

`python -m engine.serve` is started by the terminal, on another host through ssh or whatever launches it there.
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
from engine.debug.command_handler import CommandHandler
from engine.debug.recorded_steps import RecordedSteps
from engine.records import ModelChoice
from engine.strategies.validation import StrategyError
from engine.system.priority import lower_priority, lower_session_priority
from engine.system.reports import ReportTimer
from engine.system.streams import streams
from engine.text import infill

if TYPE_CHECKING:
    from engine.models import TextModel
    from engine.models.progress import Progress
    from engine.sampling.session import Session

POLLS = 0.5
"""Seconds between two looks at a strategy's file while nothing else is to be done."""


Work = Literal["wait", "recompute", "step"]


class Server:
    """One model and one run at a time; every command is answered by events, in order."""

    def __init__(
        self,
        send: Callable[[wire.Event], None],
        load: Callable[[ModelChoice, Progress], TextModel],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load, self._clock = load, clock
        self._send = send
        self._model: TextModel | None = None
        self._desk = CommandHandler(send)
        self._again: RecordedSteps | None = None
        """what is to be computed again before anything else"""
        self._reports = ReportTimer(clock)

    @property
    def _session(self) -> Session | None:
        return self._desk.session

    def serve(self, inbox: queue.SimpleQueue[wire.Command | None]) -> None:
        """Until None or Quit: handle what has come, then take one step if there is credit for it."""
        self._send(wire.Hello(strategies.catalogue(), strategies.others().problems))
        while True:
            work = self._work
            try:
                if work != "wait" or not self._desk.polls:
                    command = inbox.get(block=work == "wait")
                else:
                    command = inbox.get(timeout=POLLS)
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
                    self._desk.credit = self._desk.credit.granted(command)
                case wire.Inspect():
                    self._guard("check", self._inspect)
                case _:
                    self._guard("debug", partial(self._debug, command))

    @property
    def _work(self) -> Work:
        """What is done while no command waits."""
        if self._session is None:
            return "wait"
        if self._again is not None:
            return "recompute"
        return "step" if self._desk.credit.steps > 0 else "wait"

    def _compute(self, work: Work) -> None:
        """Take one step of what is to be done."""
        if work == "recompute":
            self._guard("begin", self._replay)
            return
        self._guard("debug", self._desk.poll)
        if self._work == "step":
            self._guard("step", self._step)

    def _guard(self, stage: Literal["load", "begin", "step", "check", "debug"], action: Callable[[], None]) -> None:
        """The process boundary: whatever goes wrong is told, and the process lives on."""
        try:
            action()
        except StrategyError as error:
            self._desk.credit = self._desk.credit.void()
            if stage == "begin":
                self._desk.session = self._again = None
                self._send(wire.Failed(stage, str(error), error.detail))
            else:
                self._desk.failed(error)
        except BaseException as error:  # models and strategies are other people's code, and Ctrl+C is not for us
            if stage in ("load", "begin"):
                self._desk.session = self._again = None
            self._desk.credit = self._desk.credit.void()
            reason = str(error) or type(error).__name__
            self._send(wire.Failed(stage, reason, traceback.format_exc()))

    def _open(self, choice: ModelChoice) -> None:
        # two models at once may be more than the device holds
        self._desk.session = self._again = self._model = None
        stage = f"loading {choice.name}"
        self._send(wire.Loading(stage))
        reports = ReportTimer(self._clock, stage)

        def progress(stage: str, done: int, total: int) -> None:
            if reports.due(stage):
                self._send(wire.Loading(stage, done, total))

        self._model = self._load(choice, progress)
        self._send(wire.Ready(self._model.info))
        for reason in self._desk.watch.read(self._model.info.pieces, self._model.info.fragments):
            self._send(wire.Rejected(reason, "Break"))

    def _begin(self, command: wire.Begin) -> None:
        from engine.sampling.session import Session

        if self._model is None:
            raise ValueError("no model is loaded")
        asked = command.choice
        self._desk.session, self._desk.run, self._desk.credit = None, command.run, self._desk.credit.void()
        prompt = self._model.prompt(asked.prompt, asked.chat, asked.infill)
        steps = asked.steps_after(sum(infill.fixed(prompt, self._model.mask_id)))
        first = command.past[0][1] if command.at else command.settings
        blocks = {name: getattr(asked, name) for name in ("block_length", "stride", "strides", "first")}
        session = Session(
            self._model, steps=steps, length=asked.length, batch=asked.batch, seed=asked.seed, prompt=prompt,
            branch=command.branch, **blocks, **self._desk.bound(first),
        )  # fmt: skip
        tokens = _tokens(session)
        self._desk.begin(session, command.branch)
        self._again = RecordedSteps.of(command)
        self._reports = ReportTimer(self._clock)
        locked = session.locked.to("cpu").numpy()
        self._send(wire.Began(self._desk.run, wire.Array.of(tokens), wire.Array.of(locked), steps, asked.seed))

    def _replay(self) -> None:
        """One of the frames that the terminal has already, under the settings it has recorded for it."""
        session, again = self._session, self._again
        assert session is not None
        assert again is not None
        changed = again.past.get(session.index)
        if changed is not None and session.index:
            session.set(**self._desk.bound(changed))
        edit, control = again.edits.get(session.index), session.control
        frame = next(session, None) if edit is None else session.edit(edit)
        if frame is None:
            raise ValueError(f"the run has {session.index} steps, so it cannot go on after {again.at}")
        self._desk.watch.see(session.branch, frame, None, command_handler.claims_of(control.strategy))
        if session.index == again.at:
            session.set(**self._desk.bound(again.settings))
            self._again = None
            self._send(wire.Resumed(self._desk.run, wire.Array.of(_tokens(session))))
        elif self._reports.due():
            self._send(wire.Replaying(self._desk.run, session.index, again.at))

    def _configure(self, settings: wire.SettingsData) -> None:
        if self._session is None:
            return
        try:
            bound = self._desk.bound(settings)
            if self._again is not None:
                # what is being replayed keeps its settings
                settings.settings().checked()
                self._again = replace(self._again, settings=settings)
            else:
                self._session.set(**bound)
        except ValueError as error:
            self._send(wire.Rejected(str(error), "Configure"))

    def _debug(self, command: command_handler.Command) -> None:
        try:
            if self._again is not None and isinstance(command, command_handler.STANDING):
                raise ValueError("the recorded steps are being computed again: wait until they are")
            self._desk.handle(command)
        except ValueError as error:
            self._send(wire.Rejected(str(error), type(command).__name__))
            return
        if isinstance(command, command_handler.MOVES):
            self._desk.credit = self._desk.credit.void()
        if isinstance(command, wire.Fork):
            self._again = RecordedSteps.of(command)

    def _step(self) -> None:
        session = self._session
        assert session is not None
        stood = session.branch
        session.switch(self._desk.turn())
        try:
            self._take(session)
        except StrategyError as error:
            self._desk.failed(error, session.index)
        finally:
            session.switch(stood)
        if self._desk.ended:
            self._desk.credit = self._desk.credit.void()

    def _take(self, session: Session) -> None:
        """One step of the branch in which the session stands."""
        control = session.control
        frame = next(session, None)
        if frame is None:
            # that it has ended is the answer to the step that it was asked for
            self._desk.credit = self._desk.credit.spent()
            self._send(wire.Finished(self._desk.run, session.branch))
            return
        if frame.edit is None:
            # an edit done again is no step
            self._desk.credit = self._desk.credit.spent()
        self._desk.publish(frame, control)

    def _inspect(self) -> None:
        from engine.sampling.self_check import self_check

        if self._model is None:
            raise ValueError("no model is loaded")
        self._send(wire.Checked(self_check(self._model, self._model.codec)))


def _tokens(session: Session) -> NDArray[np.int32]:
    return session.tokens.to("cpu").numpy().astype(np.int32)


def load(choice: ModelChoice, progress: Progress) -> TextModel:
    """torch is imported here, after Hello: the terminal has its strategies before the model."""
    from engine.evaluation.identity import identity
    from engine.models import load_choice

    model = load_choice(choice, progress)
    # the files have just been read, and large ones are read once more only where they are new
    model.fingerprint = identity(
        choice, model.outside, lambda done, total: progress("reading the model's files", done, total)
    )
    return model


def main() -> None:
    """Serve the process's own streams."""
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
        # whatever is being computed has no reader any more
        with suppress(OSError):
            restore()
        os._exit(0)

    def send(event: wire.Event) -> None:
        # downloads report from threads of their own
        with writing:
            wire.write(out, event)

    def loaded(choice: ModelChoice, progress: Progress) -> TextModel:
        model = load(choice, progress)
        # from here on it computes without end; before, somebody waits for it
        lower_session_priority()
        return model

    threading.Thread(target=read, daemon=True, name="commands").start()
    with suppress(BrokenPipeError):
        wire.greet(out, __version__)
        Server(send, loaded).serve(inbox)


if __name__ == "__main__":
    main()
