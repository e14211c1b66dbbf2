"""The signals that stop a training run after the current step, so that it can be saved and continued."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals of Ctrl+C, a scheduler, a closed terminal, and those that Slurm usually sends as a warning."""


@dataclass
class StopSignal:
    """The signal that came first, if any."""

    signal: int | None = None


@contextmanager
def stopping() -> Iterator[StopSignal]:
    """Record the first signal inside the context; a second Ctrl+C interrupts, other signals change nothing.

    Schedulers and launchers signal every process of a job and then each other, so that the same signal comes twice.
    """
    stop = StopSignal()
    # a command under nohup continues without its terminal
    ignored = [number for number in (signal.SIGHUP,) if signal.getsignal(number) == signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in STOPS if number not in ignored}

    def record(number: int, frame: FrameType | None) -> None:
        stop.signal = stop.signal or number
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    for number in before:
        signal.signal(number, record)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
