"""Look at a file before opening it: what is no regular file may block for ever or never end."""

from __future__ import annotations

import stat
from os import PathLike
from pathlib import Path

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}
"""What a path may be instead of a regular file."""


def regular_file(path: str | PathLike[str]) -> Path:
    """Return the path, which is a regular file or does not exist.  Raises ValueError that says what it is instead."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except OSError:  # whoever opens it says why it cannot be read
        return path
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is {KINDS.get(stat.S_IFMT(mode), 'something else')}, not a regular file")
    return path
