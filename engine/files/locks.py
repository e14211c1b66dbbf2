"""Locks on directories, released when the process ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOCK = ".lock"


class BusyError(ValueError):
    """Another process holds the lock of the directory."""


def acquire(home: Path) -> Any:
    """Lock a directory until `release`, or the end of this process; return the lock.

    Raises BusyError if another process holds the lock.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(home / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(f"another run is at work in {home}: wait for it, or choose another --out") from None
    return lock


def check_free(home: Path) -> None:
    """Raise BusyError if another process holds the lock of the directory; create nothing."""
    if (home / LOCK).exists():
        acquire(home).release()


@contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Create the directory if it is missing, and lock it inside the block.  Raises BusyError as `acquire` does."""
    home.mkdir(parents=True, exist_ok=True)
    lock = acquire(home)
    try:
        yield
    finally:
        lock.release()
