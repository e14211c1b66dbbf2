"""Waiting until something holds that goes on holding: a pause, an end, a count that only grows, a file.

What holds for a moment alone may have passed before a test on a loaded machine looks; stop the run there instead, or
read the record.  The limits only end tests that would never end: no test asserts how long something takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 200.0
"""Seconds after which a condition is given up, before pytest ends the test without a word on what was on screen."""


def eventually(condition: Callable[[], object], describe: Callable[[], str] = str) -> None:
    """Return once the condition holds; raise AssertionError with what `told` says when it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain {describe()}"
        time.sleep(0.005)


async def seen(pilot: Any, condition: Callable[[Any], object]) -> None:
    """Let the application go on until the condition holds of it; raise AssertionError when it never does."""
    end = time.monotonic() + PATIENCE
    # what was pressed last is heard first
    await pilot.pause(0.02)
    while not condition(pilot.app):
        assert time.monotonic() < end, "it never happened"
        await pilot.pause(0.02)


def gone(process: int) -> bool:
    """Return whether a process has ended; a zombie has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
