"""Owns the engine process: commands out, events in, frames into the trace as they arrive.

A daemon thread reads; the application polls `take` and looks at `trace`.  Nothing here draws.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from engine import wire
from engine.records import Settings
from engine.trace import Start, Trace

ENGINE = (sys.executable, "-P", "-m", "engine.serve")
LOG_TAIL = 2_000
"""Bytes of the engine's log that a report of its death quotes from."""


@dataclass(frozen=True)
class Died:
    """The engine process is gone; `last` is the last line it wrote to its log."""

    code: int
    last: str


Event = wire.Event | Died


class Link:
    """One engine process.  After `Died` a new Link is made; the trace stays readable."""

    def __init__(self, command: Sequence[str] = ENGINE) -> None:
        self._command = command
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self._outstanding, self._renew, self._run = 0, 0, 0
        self.trace: Trace | None = None
        """the newest run's record; appended to by the reading thread"""

    def start(self) -> None:
        """Start the process and the thread that reads it.  Raises OSError where it cannot be started."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, start_new_session=True
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True, name="engine").start()

    def take(self) -> list[Event]:
        """Events since the last call, frames excepted: these are in the trace."""
        taken = []
        while self._events:
            taken.append(self._events.popleft())
        return taken

    def open(self, model: str, device: str, dtype: str) -> None:
        self._send(wire.Open(model, device, dtype))

    def begin(self, settings: Settings, *, steps: int, length: int, batch: int, seed: int, prompt: str) -> None:
        """Start a new run; what the last one recorded is let go when the engine has begun."""
        with self._lock:
            self._run += 1
            self._outstanding = self._renew = 0
        self._send(wire.Begin(self._run, wire.SettingsData.of(settings), steps, length, batch, seed, prompt))

    def configure(self, settings: Settings) -> None:
        self._send(wire.Configure(wire.SettingsData.of(settings)))

    def demand(self, steps: int, renew: bool) -> bool:
        """Let `steps` steps be outstanding, renewed as frames come if so asked; whether anything was sent.

        What was granted to be renewed is revoked by the first demand that does not ask for that, so that a pause
        takes hold at the step being computed.
        """
        with self._lock:
            revoked = self._outstanding if self._renew and not renew else 0
            self._renew = steps if renew else 0
            missing = self._missing(steps) if renew else max(0, steps - self._outstanding + revoked)
            self._outstanding += missing - revoked
        if revoked:
            self._send(wire.Credit(-revoked))
        if missing > 0:
            self._send(wire.Credit(missing))
        return missing > 0

    @property
    def outstanding(self) -> int:
        return self._outstanding

    def close(self) -> None:
        """Ask the engine to quit, then make sure that it has."""
        process = self._process
        if process is None:
            return
        self._send(wire.Quit())
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _send(self, message: wire.Command) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        # a dead engine is reported by the reading thread
        with contextlib.suppress(BrokenPipeError, ValueError, OSError), self._lock:
            wire.write(process.stdin, message)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        reason = ""
        try:
            for event in wire.events(process.stdout):
                self._receive(event)
        except ValueError as error:
            reason = str(error)
            process.kill()
        code = process.wait()
        self._events.append(Died(code, reason or self._last_line()))

    def _receive(self, event: wire.Event) -> None:
        match event:
            case wire.Stepped(run=run):
                if run != self._run or self.trace is None:
                    return
                self.trace.append(event.frame())
                with self._lock:
                    # a frame that was under way when its credit was revoked is not owed
                    self._outstanding = max(self._outstanding - 1, 0)
                    missing = self._missing(self._renew)
                    self._outstanding += missing
                if missing > 0:
                    self._send(wire.Credit(missing))
            case wire.Began(run=run):
                if run == self._run:
                    start = Start(event.tokens.array(), event.locked.array(), event.steps, event.seed)
                    self.trace = Trace(start)
                    self._events.append(event)
            case wire.Finished(run=run):
                if run == self._run:
                    self._events.append(event)
            case wire.Failed():
                with self._lock:
                    self._outstanding = self._renew = 0
                self._events.append(event)
            case _:
                self._events.append(event)

    def _missing(self, steps: int) -> int:
        """Steps to grant so that `steps` are outstanding; by halves, because every message wakes the engine up."""
        missing = steps - self._outstanding
        return missing if 2 * missing >= steps else 0

    def _last_line(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            size = self._log.seek(0, 2)
            self._log.seek(max(0, size - LOG_TAIL))
            lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""
