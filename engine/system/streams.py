"""Reserve standard input and output for messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import IO


def streams() -> tuple[IO[bytes], IO[bytes], Callable[[], None]]:
    """Return standard input and output for messages alone, and a function that undoes the changes.

    Other writes to stdout go to stderr.  If a launcher allocated a terminal, it is set to raw mode, and stderr, which
    would mix with the messages, is closed.
    """
    out = os.fdopen(os.dup(1), "wb")
    if not os.isatty(0):
        os.dup2(2, 1)
        return sys.stdin.buffer, out, lambda: None
    import termios
    import tty

    before = termios.tcgetattr(0)
    tty.setraw(0)
    if os.isatty(2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(2, 1)
    return sys.stdin.buffer, out, partial(termios.tcsetattr, 0, termios.TCSANOW, before)
