"""`ProcessLink`: a link to an engine process, which sends commands and receives events and frames.

A daemon thread reads; the application polls `take` and reads `trace`.  Nothing is sent before the engine has greeted,
because a launcher may pass the first bytes to a shell.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO

from engine import wire
from engine.records import Branch, Edit, ModelChoice, RunChoice, Settings
from engine.sampling.trace import Record
from engine.text.lines import lines_of
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link import remote
from remdm_tui.link.base import Died
from remdm_tui.link.receiver import RunReceiver

ENGINE = (sys.executable, "-P", "-m", "engine.serve")
PATIENCE = 3.0
"""Seconds that a launcher may keep running after its stream has ended."""
LOG_TAIL = 2_000
"""Bytes at the end of the engine's log in which to find its last line."""


class ProcessLink(RunReceiver):
    """A link to one engine process; see `Link`.  After `Died` make a new one; the trace stays readable."""

    at_once = False

    def __init__(self, command: Sequence[str] = ENGINE) -> None:
        super().__init__(self._send)
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self._greeted = False
        self._waiting: list[wire.Command] = []
        """commands to send once the engine has greeted"""

    def start(self) -> None:
        """Start the process and the thread that reads it.  Raises OSError if it cannot be started."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, start_new_session=True
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True, name="engine").start()

    def open(self, choice: ModelChoice) -> None:
        """Load a model; the present run takes no more steps."""
        with self._lock:
            self._credit = self._credit.void()
        self._send(wire.Open(choice))

    def begin(self, settings: Settings, choice: RunChoice, record: Record | None = None, branch: int = 0) -> None:
        """Start a new run, or continue one after the record of its `branch`; drop the last run's records at `Began`."""
        with self._lock:
            self._run += 1
            self._credit = self._credit.void()
            self._continued, self.branch, self._together = record, branch, ()
            self._ended.clear()
            at = 0 if record is None else len(record)
            past = [] if record is None else record.settings()
        recorded = tuple((step, wire.SettingsData.of(then)) for step, then in past)
        edits = () if record is None else _edits(record)
        self._send(wire.Begin(self._run, wire.SettingsData.of(settings), choice, at, recorded, edits, branch))

    def fork(self, branch: Branch, record: Record, settings: Settings | None = None) -> None:
        """Branch off and continue there, appending to `record`, which holds the shared frames."""
        with self._lock:
            self._records[branch.id] = record
            self._select(branch.id)
        self._send(wire.Fork(branch, None if settings is None else wire.SettingsData.of(settings)))

    def recall(self, branch: Branch, record: Record, settings: Settings) -> None:
        """Recompute the record of a branch that the engine does not know, and switch to it."""
        with self._lock:
            self._records[branch.id] = self._continued = record
            self._credit = self._credit.void()
        past = tuple((step, wire.SettingsData.of(then)) for step, then in record.settings())
        self._send(wire.Fork(branch, wire.SettingsData.of(settings), len(record), past, _edits(record)))

    def switch(self, branch: int) -> None:
        """Continue in another branch, where it was left.  Raises ValueError if it has no record."""
        with self._lock:
            if branch not in self._records:
                raise ValueError(f"branch {branch} has no record")
            self._select(branch)
        self._send(wire.Switch(branch))

    def together(self, branches: Sequence[int]) -> None:
        """Step `branches` round-robin; an empty sequence means the current branch."""
        with self._lock:
            self._together = tuple(branches)
            self._credit = self._credit.void()
        self._send(wire.Together(self._together))

    def alter(self, edit: Edit) -> None:
        """Change the canvas by hand at the end of the record; the edit's frame is appended."""
        self._send(wire.Alter(edit))

    def stop_at(self, number: int, text: str, sample: int | None = None) -> None:
        """Set breakpoint `number` to a condition, in one sample or in any."""
        self._send(wire.Break(number, text, sample))

    def clear(self, number: int | None = None) -> None:
        """Remove a breakpoint, or all."""
        self._send(wire.Clear(number))

    def look(self, sample: int, position: int, step: int | None = None, top: int = 20) -> None:
        """Request the model's prediction at a position after `step` steps (None: now); answered by `Looked`."""
        self._send(wire.Look(sample, position, step, top))

    def draft(self, sample: int, step: int) -> None:
        """Request the model's first choice at every masked position after `step` steps; answered by `Drafted`."""
        self._send(wire.Draft(sample, step))

    def use_file(self, path: str) -> None:
        """Load a strategy from a file of the engine's machine and reload it on changes; "" stops that."""
        self._send(wire.UseFile(path))

    def check_model(self) -> None:
        """Measure the model's loss on a short text; answered by `Checked`."""
        self._send(wire.CheckModel())

    def configure(self, settings: Settings) -> None:
        """Use these settings from the next step on."""
        self._send(wire.Configure(wire.SettingsData.of(settings)))

    def demand(self, steps: int, renew: bool, recorded: int | None = None) -> bool:
        """Let `steps` steps be outstanding, renewed as frames arrive if `renew`; return whether any were requested."""
        with self._lock:
            if recorded is not None and not renew:
                steps = max(0, steps - max(0, self._length() - recorded))
            self._credit, messages = self._credit.demand(steps, renew)
        for message in messages:
            self._send(message)
        return any(message.steps > 0 for message in messages)

    def close(self, patience: float = 0.5) -> None:
        """Ask the engine to quit, kill it after `patience` seconds, and record nothing more."""
        with self._lock:
            self._closed = True
        process = self._process
        if process is None:
            return
        self._send(wire.Quit())
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.wait()

    def _send(self, message: wire.Command) -> None:
        """Send a message, or queue it until the engine has greeted."""
        process = self._process
        if process is None or process.stdin is None:
            return
        # a dead engine is reported by the reading thread
        with contextlib.suppress(BrokenPipeError, ValueError, OSError), self._lock:
            if self._greeted:
                wire.write(process.stdin, message)
            else:
                self._waiting.append(message)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Receive events until the process ends, then report that; called by the thread."""
        assert process.stdout is not None
        reason, permanent = "", False
        try:
            problem = self._greet(process.stdout)
            if problem is None:
                for event in wire.events(process.stdout):
                    self._receive(event)
            else:
                reason, permanent = problem
                if permanent:
                    _kill(process)
        except ValueError as error:
            reason = str(error)
            _kill(process)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            _kill(process)
            code = process.wait()
        if self._closed:
            return
        last = reason or self._last_line()
        advice = "" if self._greeted else remote.advice(tuple(self._command), code)
        self._events.append(Died(code, " - ".join(part for part in (last, advice) if part), permanent))

    def _greet(self, stream: IO[bytes]) -> tuple[str, bool] | None:
        """Read the greeting and send the queued messages; return what is wrong, and whether it is permanent."""
        try:
            greeting = wire.read_greeting(stream)
        except ValueError as noise:
            lines = [line.strip() for line in lines_of(str(noise)) if line.strip()]
            if len(str(noise)) >= wire.NOISE:
                return "the command started no engine: it only writes text", True
            return self._last_line() or (sanitize(lines[-1], cells=True) if lines else ""), False
        if greeting.protocol != wire.PROTOCOL:
            from importlib.metadata import version

            ours = f"{version('remdm-tui')} (protocol {wire.PROTOCOL})"
            theirs = f"{sanitize(greeting.version, cells=True)} (protocol {greeting.protocol})"
            return (
                f"the engine is remdm-tui {theirs}, this terminal {ours}: install the same version on both",
                True,
            )
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError, OSError), self._lock:
            self._greeted = True
            for message in self._waiting:
                wire.write(self._process.stdin, message)
        return None

    def _last_line(self) -> str:
        """Return the last line of the engine's log; empty if it has none."""
        with contextlib.suppress(OSError, ValueError):
            size = self._log.seek(0, 2)
            self._log.seek(max(0, size - LOG_TAIL))
            lines = lines_of(self._log.read().decode("utf-8", "replace").strip())
            return sanitize(lines[-1], cells=True) if lines else ""
        return ""


def _edits(record: Record) -> tuple[tuple[int, Edit], ...]:
    """Return (index of the frame, edit) of all recorded edits."""
    frames = (record.frame(position) for position in record.edits())
    return tuple((frame.index, frame.edit) for frame in frames if frame is not None and frame.edit is not None)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
