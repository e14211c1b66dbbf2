"""The engine as a process: commands on standard input, events on standard output (see `engine.wire`).

`python -m engine.serve` is started by the terminal, or on another host by its ssh.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from engine import __version__, strategies, wire
from engine.records import Settings

if TYPE_CHECKING:
    from engine.models import TextModel
    from engine.session import Session

NICENESS = 10
"""Added to the process's niceness, so that the terminal stays responsive on a full machine."""


class Server:
    """One model and one run at a time; every command is answered by events, in order."""

    def __init__(self, send: Callable[[wire.Event], None], load: Callable[[wire.Open], TextModel]) -> None:
        self._send, self._load = send, load
        self._model: TextModel | None = None
        self._session: Session | None = None
        self._run, self._credit = 0, 0

    def serve(self, inbox: queue.SimpleQueue[wire.Command | None]) -> None:
        """Until None or Quit: obey what has come, then take one step if there is credit for it."""
        self._send(wire.Hello(wire.PROTOCOL, __version__, strategies.catalogue()))
        while True:
            can_step = self._session is not None and self._credit > 0
            try:
                command = inbox.get(block=not can_step)
            except queue.Empty:
                self._guard("step", self._step)
                continue
            match command:
                case None | wire.Quit():
                    return
                case wire.Open():
                    self._guard("load", partial(self._open, command))
                case wire.Begin():
                    self._guard("begin", partial(self._begin, command))
                case wire.Configure(settings):
                    self._configure(settings.settings())
                case wire.Credit(steps):
                    self._credit = max(0, self._credit + steps)

    def _guard(self, stage: Literal["load", "begin", "step"], action: Callable[[], None]) -> None:
        """The process boundary: whatever goes wrong is told, and the process lives on."""
        try:
            action()
        except Exception as error:  # models and strategies are other people's code
            self._session = None if stage != "step" else self._session
            self._credit = 0
            reason = str(error) or type(error).__name__
            self._send(wire.Failed(stage, reason, traceback.format_exc()))

    def _open(self, command: wire.Open) -> None:
        self._session = None
        self._send(wire.Loading(f"loading {command.model}"))
        self._model = self._load(command)
        self._send(wire.Ready(self._model.info))

    def _begin(self, command: wire.Begin) -> None:
        from engine.session import Session

        if self._model is None:
            raise ValueError("no model is loaded")
        asked = command.settings.settings()
        self._session, self._run, self._credit = None, command.run, 0
        prompt = self._model.codec.encode(command.prompt) if command.prompt else []
        session = Session(
            self._model,
            strategies.make_strategy(asked.strategy, **asked.knobs),
            steps=command.steps,
            length=command.length,
            batch=command.batch,
            seed=command.seed,
            prompt=prompt,
            **_shared(asked),
        )
        tokens = session.tokens.to("cpu").numpy().astype(np.int32)
        locked = np.broadcast_to(np.arange(tokens.shape[1]) < len(prompt), tokens.shape)
        self._session = session
        self._send(wire.Began(self._run, wire.Array.of(tokens), wire.Array.of(locked), command.steps, command.seed))

    def _configure(self, asked: Settings) -> None:
        if self._session is None:
            return
        try:
            self._session.set(strategy=strategies.make_strategy(asked.strategy, **asked.knobs), **_shared(asked))
        except ValueError as error:
            self._send(wire.Rejected(str(error)))

    def _step(self) -> None:
        assert self._session is not None
        frame = next(self._session, None)
        if frame is None:
            self._credit = 0
            self._send(wire.Finished(self._run))
            return
        self._credit -= 1
        self._send(wire.Stepped.of(self._run, frame))


def _shared(settings: Settings) -> dict[str, Any]:
    """The settings that are not the strategy's own."""
    return {k: getattr(settings, k) for k in ("top_p", "nucleus", "temperature", "draw")}


def load(command: wire.Open) -> TextModel:
    """torch is imported here, after Hello: the terminal has its strategies before the model."""
    from engine.models import load_model

    return load_model(command.model, command.device, command.dtype)


def main() -> None:
    """Serve the process's own streams; a write of some library to stdout goes to stderr instead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(NICENESS)
    receive: IO[bytes] = sys.stdin.buffer
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    inbox: queue.SimpleQueue[wire.Command | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for command in wire.commands(receive):
                if isinstance(command, wire.Quit):
                    break
                inbox.put(command)
        except ValueError as error:
            print(error, file=sys.stderr)
        # whatever is being computed has no reader any more
        os._exit(0)

    threading.Thread(target=read, daemon=True, name="commands").start()
    with suppress(BrokenPipeError):
        Server(lambda event: wire.write(out, event), load).serve(inbox)


if __name__ == "__main__":
    main()
