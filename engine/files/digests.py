"""Digests of whole files, cached between runs."""

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
"""Bytes to read at a time."""
CACHED_FROM = 1 << 24
"""The digests of files of at least this many bytes are cached."""
THREADS = 8
"""The number of files to read at once."""

OnProgress = Callable[[int, int], None]
"""A callback with (bytes done, bytes in total)."""


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's whole content as 64 hexadecimal digits.  Raises OSError."""
    return _digest(path, lambda count: None)


def file_digests(paths: Sequence[Path], progress: OnProgress = ignore, cache: Path | None = None) -> list[str]:
    """Return the digest of every file's whole content, in order.  Raises OSError.

    Large files are read once: `cache`, by default the user's cache directory, keeps their digests under device, inode,
    size, and the times of the last change of content and of status; no program can set the latter back.
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
        known = _recall(home, before) if size >= CACHED_FROM else None
        if known is not None:
            count(size)
            return known
        found = _digest(path, count)
        # the digest of a file that is being written is out of date
        if size >= CACHED_FROM and _stamp(path) == before:
            _store(home, before, found)
        return found

    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    try:
        found = []
        for task in [pool.submit(one, path) for path in paths]:
            while not wait([task], timeout=0.5).done:
                progress(done, total)
            found.append(task.result())
        return found
    finally:
        # after an interrupt or an unreadable file, wait for no more than a chunk
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
        _store(home, before, found)
    return found


def default_cache() -> Path:
    """Return the directory of cached digests."""
    from platformdirs import user_cache_path

    return user_cache_path("remdm-tui") / "digests"


def _digest(path: Path, count: Callable[[int], None]) -> str:
    """Return the SHA-256 of a file; `count` gets the number of bytes of each chunk."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            found.update(data)
            count(len(data))
    return found.hexdigest()


def _stamp(path: Path, what: str = "") -> str:
    """Return a key for the present content of a file."""
    now = path.stat()
    text = f"{what}{now.st_dev} {now.st_ino} {now.st_size} {now.st_mtime_ns} {now.st_ctime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()


def _recall(home: Path, stamp: str) -> str | None:
    """Return a cached digest; None if it is missing or damaged."""
    try:
        digest, _, check = (home / stamp).read_text(encoding="ascii").partition(" ")
    except (OSError, ValueError):
        return None
    return digest if check == _check(stamp, digest) else None


def _store(home: Path, stamp: str, digest: str) -> None:
    """Cache a digest in a file of its own, atomically; do nothing if the directory is not writable."""
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        replace(home / stamp, f"{digest} {_check(stamp, digest)}".encode())


def _check(stamp: str, digest: str) -> str:
    """Return the checksum of a cache entry."""
    return hashlib.sha256(f"{stamp} {digest}".encode()).hexdigest()
