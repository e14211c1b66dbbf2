"""How the engine lets the terminal go first on a machine that has more to do than cores."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 5
"""Added to the process's niceness."""
GROUP = Path("/proc/self/autogroup")


def give_way(group: Path = GROUP) -> None:
    """Be nice to the terminal's process, by what each system looks at.

    Linux shares cores among sessions before it looks at the niceness of processes (`man 7 sched`, autogroup): one
    that leads a session makes that nice as a whole, for which the terminal need not be in it.
    """
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
        if os.getsid(0) == os.getpid() and group.exists():
            group.write_text(str(NICENESS))
