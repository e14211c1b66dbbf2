"""SIGTERM and similar signals end a command as an interrupt does, with an exit status of their own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engine.system.foreign import Interrupted

NAMES = (
    "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO",
    "SIGPWR", "SIGSTKFLT",
)  # fmt: skip
ENDING = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
"""Signals that end a program by default: of `kill`, a batch system, a limit of time, a closed terminal."""

FAILED, SIGNALLED = 1, 128
"""Exit statuses: of a bug; of a signal, to which its number is added, as shells do."""


class TerminatedError(Interrupted):
    """A signal ends the process; it is handled as an interrupt is."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code(error: KeyboardInterrupt) -> int:
    """Return 128 + the signal, as shells do."""
    return SIGNALLED + (error.number if isinstance(error, TerminatedError) else signal.SIGINT)


def _end(number: int, frame: FrameType | None) -> None:
    raise TerminatedError(number)


def ends(number: int) -> bool:
    """Return whether a signal ends the process now: nobody ignores it or has a use for it, such as a timer."""
    return signal.getsignal(number) in (signal.SIG_DFL, _end)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise TerminatedError inside the context at a signal that would end the process; ignored signals stay ignored."""

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = [number for number in ENDING if signal.getsignal(number) == signal.SIG_DFL]
    for number in handled:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
