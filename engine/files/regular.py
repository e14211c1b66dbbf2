"""Check that a path is a regular file: opening others may block forever or never end."""

from __future__ import annotations

import stat
from os import PathLike
from pathlib import Path

FILE_TYPES = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}
"""Names of other kinds of files."""


def regular_file(path: str | PathLike[str]) -> Path:
    """Return the path of a regular or missing file.  Raises ValueError that names any other kind of file."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except OSError:  # opening it reports the reason
        return path
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is {FILE_TYPES.get(stat.S_IFMT(mode), 'something else')}, not a regular file")
    return path


def is_there(path: str | PathLike[str]) -> bool:
    """Return whether a path is a regular file, False for a missing one.  Raises ValueError as `regular_file` does."""
    return regular_file(path).is_file()
