"""A person at a terminal: the real command in a pseudo-terminal, its screen read by pyte."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from typing import Any

import pyte

from tests import forks
from tests.waiting import PATIENCE

COMMAND = (sys.executable, "-c", "from remdm_tui.cli import main; main()")

FORKED = """
from remdm_tui.link import process
process.ENGINE = {engine!r}
"""
"""What a program runs first so that its engine is a fork, which need not import torch once more."""

FORGOTTEN = {"PYTHONDONTWRITEBYTECODE", "COLUMNS", "LINES"}
"""Variables that a program does not get: an installed one has its bytecode, and the terminal knows its own size."""


def with_forked_engine(program: str = forks.MAIN) -> list[str]:
    """Return the command of a program whose engine is a fork."""
    return [sys.executable, "-c", f"{FORKED.format(engine=tuple(forks.engine()))}{program}"]


class Terminal:
    """`screen()` is what is on screen now; wait for what stays there, not for a moment of a run that goes on."""

    def __init__(
        self, arguments: Sequence[str], columns: int = 120, rows: int = 40, command: Sequence[str] = COMMAND,
        **environment: str,
    ) -> None:  # fmt: skip
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._shown: str | None = None
        self._fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(child)
        self._child = child
        self.raw = b""
        # nobody has been here before, unless a test says otherwise
        self._state = tempfile.mkdtemp(dir=os.environ.get("REMDM_TESTS"))
        state = {"XDG_STATE_HOME": self._state}
        inherited = {name: value for name, value in os.environ.items() if name not in FORGOTTEN}
        self.process = subprocess.Popen(
            [*command, *arguments], stdin=child, stdout=child, stderr=child, start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", **state, **environment},
        )  # fmt: skip

    def press(self, keys: str | bytes) -> None:
        os.write(self._fd, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, rows: int) -> None:
        """Make the window larger or smaller, as the person drags its edge."""
        fcntl.ioctl(self._child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)
        # the pseudo-terminal does not control the program, so the kernel does not tell it
        self.process.send_signal(signal.SIGWINCH)

    def read(self, seconds: float = 0.05, parse: bool = True) -> None:
        """Read what the program has written; without parsing it costs next to nothing, and `raw` alone grows."""
        with contextlib.suppress(OSError):
            while select.select([self._fd], [], [], seconds)[0]:
                data = os.read(self._fd, 1 << 16)
                self.raw += data
                if parse:
                    self._feed(data)
                seconds = 0

    def _feed(self, data: bytes) -> None:
        self._stream.feed(data)
        self._shown = None

    def screen(self) -> str:
        # laying out the lines takes longer than most waits between two writes
        if self._shown is None:
            self._shown = "\n".join(self._screen.display)
        return self._shown

    def wait(self, condition: Callable[[str], bool], seconds: float = PATIENCE) -> str:
        """Return the screen once the condition holds; raise AssertionError with the screen if it does not in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            if condition(self.screen()):
                return self.screen()
        raise AssertionError(f"waited {seconds} s in vain; on screen:\n{self.screen()}")

    def wait_written(self, *texts: bytes, since: int) -> None:
        """Wait until the program has written the texts, in this order, after the first `since` bytes."""

        def is_written(_: str) -> bool:
            at = since
            for text in texts:
                if (found := self.raw.find(text, at)) < 0:
                    return False
                at = found + len(text)
            return True

        self.wait(is_written)

    def owner(self) -> int:
        """Return the group of processes that the terminal belongs to, as a shell hands it out."""
        return os.tcgetpgrp(self._fd)

    def is_raw(self) -> bool:
        """Return whether each key reaches the program at once, without an echo."""
        return not termios.tcgetattr(self._child)[3] & (termios.ICANON | termios.ECHO)

    def exit_code(self, seconds: float = PATIENCE) -> int:
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, f"still running:\n{self.screen()}"
            self.read()
        self.read()
        return self.process.returncode

    def restored(self) -> bool:
        """Return whether the terminal is as it was: same mode, main screen, cursor shown."""
        left = self.raw.rfind(b"\x1b[?1049l") > self.raw.rfind(b"\x1b[?1049h")
        shown = self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l")
        return left and shown and termios.tcgetattr(self._child) == self.before

    def children(self) -> list[int]:
        """Return the processes that the program has started: the engine."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path) as file:
            return [int(pid) for pid in file.read().split()]

    def hang_up(self) -> None:
        """Close the window, here without a signal."""
        os.close(self._fd)
        self._fd = -1

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self._state, ignore_errors=True)
        for fd in (self._fd, self._child):
            if fd >= 0:
                os.close(fd)


class SlowTerminal(Terminal):
    """One at the end of a line that carries `rate` bytes a second."""

    BURST = 0.004
    """Seconds of it that are read at once."""

    def __init__(self, rate: float, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.rate, self._next = rate, 0.0

    def read(self, seconds: float = 0.05, parse: bool = True) -> None:
        """Read what the line carries in this time; idle time is not made up for."""
        end, burst = time.monotonic() + seconds, int(self.rate * self.BURST)
        while (now := time.monotonic()) < end:
            room = min(self._next, end) - now
            if room > 0:
                time.sleep(room)
            elif not select.select([self._fd], [], [], min(0.001, end - now))[0]:
                continue
            else:
                data = os.read(self._fd, burst)
                self.raw += data
                if parse:
                    self._feed(data)
                self._next = max(self._next, now - self.BURST) + len(data) / self.rate
