"""How the engine lets the terminal go first on a machine that has more to do than cores."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 5
"""Added to that of the process, and its session's."""
GROUP = Path("/proc/self/autogroup")


def lower_priority() -> None:
    """Be nicer than the terminal; before there are threads, which inherit it."""
    with suppress(OSError):
        os.nice(NICENESS)


def lower_session_priority(group: Path = GROUP) -> None:
    """The same where Linux shares cores among sessions before it looks at the niceness of processes.

    A process that leads a session of its own, in which the terminal then is not, makes that nice as a whole (`man 7
    sched`, autogroup).
    """
    with suppress(OSError, AttributeError):
        if os.getsid(0) == os.getpid() and group.exists():
            group.write_text(str(NICENESS))
