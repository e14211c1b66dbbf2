"""`export`: a recording as text, pictures, a moving picture, a page or a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.recording import Recording
from remdm_tui.exports.writing import kind_of, write_export


def run(path: Path, out: Path, kind: str | None = None, *, force: bool = False, **more: Any) -> str:
    """Write `out`, and return a sentence on what was written.

    kind: None for the ending of `out`.  more: arguments of `remdm_tui.exports.writing.write_export`.  Raises ValueError
    for a bad argument, or an existing file without `force`, which does not change then.
    """
    chosen = kind_of(out, kind)
    if out.exists() and not force:
        raise ValueError(f"{out} exists: choose another name or overwrite it with --force")
    recording = Recording.open(path)
    try:
        return write_export(recording, out, chosen, **more)
    finally:
        recording.close()
