"""`export`: a recording as text, pictures, a moving picture, a page or a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.recording import Recording
from remdm_tui.exports.writing import kind_of, write


def run(path: Path, out: Path, kind: str | None = None, *, force: bool = False, **more: Any) -> str:
    """Write `out` and say what was written, in a sentence; `kind` None: what the ending of `out` names.

    more: as `write` takes it.  Raises ValueError for what there is not, and for a file that is there already unless
    `force`.  A failure leaves what was there as it was.
    """
    chosen = kind_of(out, kind)
    if out.exists() and not force:
        raise ValueError(f"{out} is there already: choose another name or overwrite it with --force")
    recording = Recording.open(path)
    try:
        return write(recording, out, chosen, **more)
    finally:
        recording.close()
