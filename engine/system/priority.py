"""Lower the engine's priority, so that the terminal stays responsive on a busy machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 5
"""Added to the niceness of the process and of its session."""
GROUP = Path("/proc/self/autogroup")


def lower_priority() -> None:
    """Raise the niceness of this process; call it before starting threads, which inherit it."""
    with suppress(OSError):
        os.nice(NICENESS)


def lower_session_priority(group: Path = GROUP) -> None:
    """Raise the niceness of this process's session, which Linux respects before that of processes.

    See `man 7 sched`, autogroup.  Does nothing unless the process leads its session: else the terminal may be in it.
    """
    with suppress(OSError, AttributeError):
        if os.getsid(0) == os.getpid() and group.exists():
            group.write_text(str(NICENESS))
