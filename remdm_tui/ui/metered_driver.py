"""How fast the terminal takes what is written to it: a slow line is given less at a time, and never a backlog."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from remdm_tui.ui.keyboard import Keyboard, read_input

LONGEST = 0.025
"""Seconds that one paint may keep the line busy: a key waits for half of that, and for what the system has buffered."""
LEAST, MOST = 1_000, 1 << 20
"""Bytes of a paint."""
NARROW = 1 << 15
"""Bytes below which a paint has no room for everything."""
CHUNK = 1 << 14
"""Bytes handed over at once."""
SETTLED = 0.05
"""Seconds to wait for a signal that came with SIGCONT."""


class MeteredWriter:
    """The file that a driver's thread writes to; it counts what waits to be written and what a paint may have."""

    def __init__(self, file: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._submitted = self._written = self._mark = 0
        self._spent = 0.0
        self.room = MOST
        """bytes that one paint should come to at most"""

    @property
    def waiting(self) -> bool:
        """Whether earlier writes are still on their way."""
        return self._submitted > self._written

    @property
    def narrow(self) -> bool:
        """Whether the line is too slow for everything at once."""
        return self.room < NARROW

    def submit(self, text: str) -> None:
        """Count a text that will be written."""
        self._submitted += len(_encoded(text))

    def write(self, text: str) -> None:
        """Write a text, and return when the terminal has taken it."""
        data, start = _encoded(text), self._clock()
        try:
            for at in range(0, len(data), CHUNK):
                _write_all(self._file.fileno(), data[at : at + CHUNK])
        except OSError:
            # the terminal is gone, which the application notices by itself
            pass
        self._written += len(data)
        self._spent += self._clock() - start
        if not self.waiting:
            self._learn(self._written - self._mark, self._spent)
            self._mark, self._spent = self._written, 0.0

    def _learn(self, size: int, seconds: float) -> None:
        """Adapt the room to a paint of `size` bytes that took `seconds`."""
        if seconds > LONGEST:
            self.room = max(LEAST, int(min(self.room, size) * LONGEST / seconds))
        elif seconds < LONGEST / 2 and size > self.room // 2:
            self.room = min(MOST, self.room * 5 // 4)

    def flush(self) -> None:
        """Do nothing: `write` holds nothing back."""

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()


class MeteredDriver:
    """A driver that writes through a `MeteredWriter`."""

    writer: MeteredWriter


class HungUp(Message):
    """The terminal has gone."""


def screen_file() -> IO[str]:
    """Return the standard stream that is the screen: standard error, or output where errors go elsewhere."""
    error, output = sys.__stderr__, sys.__stdout__
    if (error is None or not error.isatty()) and output is not None and output.isatty():
        return output
    return error or sys.stderr


def has_shell() -> bool:
    """Return whether a shell can continue this program when it stops: it gives each of its jobs a group."""
    return os.getpgrp() != os.getsid(0)


def owns_terminal(file: int) -> bool:
    """Return whether a terminal is this job's: a shell takes it back from one that has stopped."""
    try:
        return os.tcgetpgrp(file) == os.getpgrp()
    except OSError:
        # no terminal of this session, so nothing of it can be taken away
        return True


@contextmanager
def _unstoppable_threads() -> Iterator[None]:
    """Have threads that start in here get an error, not a stop, from a terminal that is another job's."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN, signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _attributes(file: int) -> list[Any] | None:
    """Return a terminal's line discipline; None for a file that is no terminal."""
    with suppress(termios.error):
        return termios.tcgetattr(file)
    return None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _write_all(file: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(file, data) :]
        except BlockingIOError:
            select.select([], [file], [])


def metered(kind: type[Driver]) -> type[Driver]:
    """Return the driver with a `writer`; unchanged if it does not write to a terminal."""
    if not issubclass(kind, LinuxDriver):
        return kind
    base: type[LinuxDriver] = kind

    class Metered(MeteredDriver, base):  # type: ignore[valid-type, misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            # what the driver itself writes to
            self.writer = MeteredWriter(screen_file())
            self._file = self.writer
            self._suspended = False
            """the terminal is the shell's, and as it was before"""
            self._terminal_lost = False
            """the shell has taken the terminal as it was left by a stop that cannot be caught"""
            self._own_attributes: list[Any] | None = None

        def write(self, data: str) -> None:
            if self._suspended or self._terminal_lost:
                return
            self.writer.submit(data)
            super().write(data)

        def run_input_thread(self) -> None:
            # the terminal may send any byte, may be the shell's for a while, and may go
            if not read_input(
                self.fileno, self.exit_event.is_set, self.process_message, Keyboard(self._debug),
                lambda: owns_terminal(self.fileno),
            ):  # fmt: skip
                self._app.post_message(HungUp())

        def start_application_mode(self) -> None:
            if not owns_terminal(self.fileno):
                # begun in the background
                self._suspended = self._must_signal_resume = True
                self._stop_soon()
                return
            with _unstoppable_threads():
                super().start_application_mode()
            self._own_attributes = _attributes(self.fileno)

        def disable_input(self) -> None:
            if self._suspended:
                return
            if owns_terminal(self.fileno):
                super().disable_input()
                return
            # what waits there was typed for the shell
            self.exit_event.set()
            if self._key_thread is not None:
                self._key_thread.join()
            self.exit_event.clear()

        def stop_application_mode(self) -> None:
            self._terminal_lost = False
            if not owns_terminal(self.fileno):
                signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # what is written at the end is no reason to stop
                if _attributes(self.fileno) != self._own_attributes:
                    self.attrs_before = None  # the shell has set its own
                if not self._suspended:
                    self._disable_mouse_support()
            if not self._suspended:
                super().stop_application_mode()

        def suspend_application_mode(self) -> None:
            super().suspend_application_mode()
            self._suspended = True

        def resume_application_mode(self) -> None:
            if not self._suspended:
                # stopped by a signal that cannot be caught: another program may have changed the terminal meanwhile
                self.suspend_application_mode()
                self._must_signal_resume = True
            self._suspended = False
            super().resume_application_mode()

        def _sigtstp_application(self, *_: object) -> None:
            if not has_shell():
                return
            self.suspend_application_mode()
            self._must_signal_resume = True
            # what started it, such as make, stops with it, or the shell would go on waiting
            os.killpg(os.getpgrp(), signal.SIGSTOP)

        def _sigcont_application(self, *_: object) -> None:
            if self._app.return_code is not None:
                return  # it is ending, and takes no terminal any more
            if owns_terminal(self.fileno):
                super()._sigcont_application()
                return
            self._terminal_lost = not self._suspended
            self._stop_soon()

        def _stop_soon(self) -> None:
            # `bg`, or `kill`, which continues what it ends: the application hears of that only when it runs
            self._loop.call_soon_threadsafe(self._loop.call_later, SETTLED, self._app.call_later, self._stop_again)

        def _stop_again(self) -> None:
            if self._app.return_code is None and not owns_terminal(self.fileno):
                os.killpg(os.getpgrp(), signal.SIGSTOP)

    return Metered
