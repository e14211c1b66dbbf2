"""A JSON lines file of a training run, continued from a checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from engine.files.atomic import replace
from engine.files.regular import is_there


@contextmanager
def continued(log: Path, step: int) -> Iterator[IO[str]]:
    """Open a log to append to, without the lines that an earlier process wrote beyond `step`.

    Lines that name no step stay; an unterminated last line is dropped.  A device, such as /dev/null, is only written
    to.  Raises OSError, and ValueError for a pipe, which would wait for a reader.
    """
    if log.is_char_device():
        with log.open("w", encoding="utf-8") as file:
            yield file
        return
    lines = BytesIO(log.read_bytes()).readlines() if is_there(log) else []
    kept = [line for line in lines if line.endswith(b"\n") and _step_of(line) <= step]
    if kept != lines or not log.exists():
        replace(log, b"".join(kept))
    with log.open("a", encoding="utf-8", buffering=1) as file:
        yield file


def _step_of(line: bytes) -> float:
    """Return the step that a line names, or minus infinity if it names none."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return -math.inf
