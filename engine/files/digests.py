"""Digests of whole files, remembered from run to run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Event

from engine.files.atomic import replace, tidy
from engine.system.callbacks import ignore

CHUNK = 1 << 22
"""Bytes that are read at a time."""
REMEMBERED = 1 << 24
"""Bytes of a file from which on its digest is worth remembering."""
THREADS = 8
"""Files that are read at once."""

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)"""


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's whole content as 64 hexadecimal digits.  Raises OSError."""
    return _digest(path, lambda count: None)


def file_digests(paths: Sequence[Path], told: Progress = ignore, cache: Path | None = None) -> list[str]:
    """Return the digest of every file's whole content, in order.  Raises OSError.

    Large files are read once: their digests are kept in `cache`, by default the user's cache directory, under device,
    inode, size and the times of the last change of content and of status, of which no program can set the latter back.
    """
    home = default_cache() if cache is None else cache
    tidy(home, ["[0-9a-f]" * 64])
    total, done, stopped = sum(path.stat().st_size for path in paths), 0, Event()

    def count(more: int) -> None:
        nonlocal done
        if stopped.is_set():
            raise CancelledError
        done += more

    def one(path: Path) -> str:
        before = _stamp(path)
        size = path.stat().st_size
        known = _recall(home, before) if size >= REMEMBERED else None
        if known is not None:
            count(size)
            return known
        found = _digest(path, count)
        # a file that is being written has no digest that would still be true
        if size >= REMEMBERED and _stamp(path) == before:
            _remember(home, before, found)
        return found

    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    try:
        found = []
        for task in [pool.submit(one, path) for path in paths]:
            while not wait([task], timeout=0.5).done:
                told(done, total)
            found.append(task.result())
        return found
    finally:
        # whoever interrupts, or has met a file that cannot be read, waits for no more than a chunk
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def remembered(path: Path, what: str, compute: Callable[[Path], str], cache: Path | None = None) -> str:
    """Return what `compute` finds in a file's whole content, kept under the name `what` as digests are.

    Raises OSError.
    """
    home = default_cache() if cache is None else cache
    before = _stamp(path, what)
    known = _recall(home, before)
    if known is not None:
        return known
    found = compute(path)
    if _stamp(path, what) == before:
        _remember(home, before, found)
    return found


def default_cache() -> Path:
    """Return the directory of remembered digests."""
    from platformdirs import user_cache_path

    return user_cache_path("remdm-tui") / "digests"


def _digest(path: Path, count: Callable[[int], None]) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            found.update(data)
            count(len(data))
    return found.hexdigest()


def _stamp(path: Path, what: str = "") -> str:
    now = path.stat()
    told = f"{what}{now.st_dev} {now.st_ino} {now.st_size} {now.st_mtime_ns} {now.st_ctime_ns}"
    return hashlib.sha256(told.encode()).hexdigest()


def _recall(home: Path, stamp: str) -> str | None:
    """Return what was kept; None for nothing or a damaged file."""
    try:
        kept, _, check = (home / stamp).read_text(encoding="ascii").partition(" ")
    except (OSError, ValueError):
        return None
    return kept if check == _check(stamp, kept) else None


def _remember(home: Path, stamp: str, digest: str) -> None:
    """Keep a digest in a file of its own, whole or not at all; without a writable directory it is not kept."""
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        replace(home / stamp, f"{digest} {_check(stamp, digest)}".encode())


def _check(stamp: str, digest: str) -> str:
    return hashlib.sha256(f"{stamp} {digest}".encode()).hexdigest()
