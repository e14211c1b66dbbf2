"""How fast the terminal takes what is written to it: a slow line is given less at a time, and never a backlog."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from typing import IO, Any

from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

LONGEST = 0.025
"""Seconds that one paint may keep the line busy: a key waits for half of that, and for what the system has buffered."""
LEAST, MOST = 1_000, 1 << 20
"""Bytes of a paint."""
NARROW = 1 << 15
"""Bytes below which a paint has no room for everything."""
CHUNK = 1 << 14
"""Bytes handed over at once."""


class Outlet:
    """The file that a driver writes to from a thread of its own; who draws asks what still waits, and what has room."""

    def __init__(self, file: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._given = self._taken = self._mark = 0
        self._spent = 0.0
        self.room = MOST
        """bytes that one paint should come to at most"""

    @property
    def waiting(self) -> bool:
        """Whether earlier writes are still on their way."""
        return self._given > self._taken

    @property
    def narrow(self) -> bool:
        """Whether the line is too slow for everything at once."""
        return self.room < NARROW

    def given(self, text: str) -> None:
        """A text will be written."""
        self._given += len(_encoded(text))

    def write(self, text: str) -> None:
        """Returns when the terminal has taken it."""
        data, begun = _encoded(text), self._clock()
        try:
            for at in range(0, len(data), CHUNK):
                _write_all(self._file.fileno(), data[at : at + CHUNK])
        except OSError:
            # nobody is there any more, which the application notices by itself
            pass
        self._taken += len(data)
        self._spent += self._clock() - begun
        if not self.waiting:
            self._learn(self._taken - self._mark, self._spent)
            self._mark, self._spent = self._taken, 0.0

    def _learn(self, size: int, seconds: float) -> None:
        """So many bytes, one paint, have taken so long."""
        if seconds > LONGEST:
            self.room = max(LEAST, int(min(self.room, size) * LONGEST / seconds))
        elif seconds < LONGEST / 2 and size > self.room // 2:
            self.room = min(MOST, self.room * 5 // 4)

    def flush(self) -> None:
        """Nothing is held back."""

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _write_all(file: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(file, data) :]
        except BlockingIOError:
            select.select([], [file], [])


def metered(kind: type[Driver]) -> type[Driver]:
    """The same driver with an `outlet`; one that does not write to a terminal as it is."""
    if not issubclass(kind, LinuxDriver):
        return kind
    base: type[LinuxDriver] = kind

    class Metered(base):  # type: ignore[valid-type, misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            # what the driver itself writes to
            self.outlet = Outlet(sys.__stderr__ or sys.stderr)
            self._file = self.outlet

        def write(self, data: str) -> None:
            self.outlet.given(data)
            super().write(data)

    return Metered
