"""What a process leaves that was killed while it wrote."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def ended() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(home: Path, written: Sequence[str]) -> None:
    """Leave these files half written by a process that has ended, and one file that is somebody else's."""
    number = ended()
    for name in written:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / f"{name}.{number}-7.part").write_bytes(b"half")
    (home / "mine.part").write_bytes(b"somebody's")


def unfinished(home: Path) -> list[str]:
    """Return the names of the files that are not whole."""
    return sorted(path.name for path in home.rglob("*.part"))
