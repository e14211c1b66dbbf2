"""SIGTERM and its like end a command as an interrupt does, and are told apart from it by the exit status."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engine.system.foreign import Interrupted

NAMES = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
ENDING = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
"""What ends a program that does nothing about it: a batch system's, `kill`'s, that of a terminal that has gone."""

FAILED, SIGNALLED = 1, 128
"""Exit statuses: a bug; from here on, the number of a signal more, as shells report one."""


class TerminatedError(Interrupted):
    """The process was told to end; whatever an interrupt leaves behind in order, this does too."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code(error: KeyboardInterrupt) -> int:
    """Return 128 + the signal, as shells report one."""
    return SIGNALLED + (error.number if isinstance(error, TerminatedError) else signal.SIGINT)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise TerminatedError in here where a signal comes that would end the process; one that is ignored stays so."""

    def end(number: int, frame: FrameType | None) -> None:
        raise TerminatedError(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [number for number in ENDING if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
