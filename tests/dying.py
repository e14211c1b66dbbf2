"""A process that is killed at a chosen moment: at its n-th write to a file, whatever else the machine is doing."""

from __future__ import annotations

import os
import signal
from typing import Any, NoReturn


def die_at(call: int) -> None:
    """Have this process killed when it writes, syncs, cuts or renames a file for the `call`-th time.

    A write is cut in the middle, as a crash may cut it; anything else is not done any more.
    """
    left = call

    def kill() -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("a killed process goes on")

    def counted(name: str) -> None:
        done = getattr(os, name)

        def call(*given: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                if name == "write":
                    done(given[0], given[1][: len(given[1]) // 2])
                kill()
            return done(*given, **more)

        setattr(os, name, call)

    for name in ("write", "fsync", "ftruncate", "replace"):
        counted(name)
