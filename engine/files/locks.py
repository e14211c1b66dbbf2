"""One writer at a time in a directory: a lock that ends with the process that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOCK = ".lock"


class BusyError(ValueError):
    """Another process works in the directory."""


def taken(home: Path) -> Any:
    """Return a lock, with `release`, that keeps every other process out of a directory until this one ends.

    Raises BusyError if another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(home / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(f"another run is at work in {home}: wait for it, or choose another --out") from None
    return lock


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Make the directory if need be, and inside keep every other process out.  Raises BusyError as `taken` does."""
    home.mkdir(parents=True, exist_ok=True)
    lock = taken(home)
    try:
        yield
    finally:
        lock.release()
