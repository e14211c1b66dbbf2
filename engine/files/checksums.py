"""Checksums next to files that are written as a whole, to detect damage when they are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.files.atomic import replace, replacing
from engine.files.digests import file_digest, file_digests
from engine.files.regular import regular_file

CHECKSUM = ".sha256"
"""Suffix of the checksum file, which holds the digests of the content and of the previous content, a line each."""
LONGEST = 1 << 14
"""Bytes of a checksum file that are read: some lines, each with a name."""
ATTEMPTS = 20
"""How often to read a file that is replaced meanwhile."""
DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
Digest = Callable[[Path], str]


def checksum(path: Path) -> Path:
    """Return where the checksums of a file lie."""
    return path.with_name(path.name + CHECKSUM)


@contextmanager
def replacing_checked(path: Path) -> Iterator[Path]:
    """Yield where to write a file, and write its checksum; see `replacing`.  Raises OSError."""
    with replacing(path) as part:
        yield part
        # first the checksums of both, then the file: killed between the two, the old file is still a whole one
        write_checksums(path, [file_digest(part), *_whole(path)])


def replace_checked(path: Path, data: bytes) -> None:
    """Write a whole file and its checksum; nothing where both are there already.  Raises OSError."""
    if path.is_file() and path.read_bytes() == data and file_digest(path) in known(path):
        return
    with replacing_checked(path) as part:
        part.write_bytes(data)


def write_checksums(path: Path, digests: Iterable[str]) -> None:
    """Write these as the checksums of a file."""
    text = "".join(f"{digest}  {path.name}\n" for digest in dict.fromkeys(digests))
    there = checksum(path)
    if not (there.is_file() and there.read_bytes() == text.encode()):
        replace(there, text.encode())


def known(path: Path) -> list[str]:
    """Return the recorded checksums of a file; empty if none can be read."""
    try:
        with regular_file(checksum(path)).open("rb") as file:
            return DIGEST.findall(file.read(LONGEST).decode("ascii", "replace").lower())
    except (OSError, ValueError):
        return []


def mismatch(path: Path, digest: Digest = file_digest) -> str:
    """Return the sentence that a file does not match its checksum; empty if it matches or has none.

    Raises OSError, also for a file that is missing.
    """
    for _ in range(ATTEMPTS):
        before = _identity(path)
        found = digest(path) if known(path) else ""
        recorded = known(path)
        if not recorded or not found or found in recorded:
            return ""
        if _identity(path) == before:
            break
    return f"does not match its checksum in {checksum(path).name}"


def is_whole(path: Path) -> bool:
    """Return whether a file exists and matches its checksum, if it has one.

    A large file is read once, see `file_digests`.
    """
    try:
        return path.is_file() and not mismatch(path, _remembered)
    except OSError:
        return False


def check_checksum(path: Path) -> None:
    """Raise ValueError if a model's file does not match its checksum.

    Ignores a file that cannot be read: opening it raises the reason.
    """
    try:
        fault = mismatch(path, _remembered)
    except OSError:
        return
    if fault:
        raise ValueError(
            f"{path} is damaged: it {fault}; restore it or export it again, or delete {checksum(path).name} if you "
            "changed it yourself"
        )


def _whole(path: Path) -> list[str]:
    """Return the digest of a file that matches its checksum or has none; empty for a damaged or missing file."""
    if not path.is_file():
        return []
    digest, known_digests = file_digest(path), known(path)
    return [digest] if digest in known_digests or not known_digests else []


def _remembered(path: Path) -> str:
    (digest,) = file_digests([path])
    return digest


def _identity(path: Path) -> tuple[int, ...]:
    seen = path.stat()
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns
