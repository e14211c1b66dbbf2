"""Recognise pointers of git-lfs: short texts that stand in the place of files until these are fetched."""

from __future__ import annotations

from pathlib import Path

MARK = b"version https://git-lfs"
"""The beginning of every pointer."""
POINTER = "is a pointer of git-lfs, not the file itself: run `git lfs pull` where it came from"


def check_pointer(path: Path) -> None:
    """Raise ValueError if a regular file is a pointer of git-lfs.  Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        if file.read(len(MARK)) == MARK:
            raise ValueError(f"{path} {POINTER}")
