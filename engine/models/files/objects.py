"""JSON files of a checkpoint: configurations and indexes, read as untrusted input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.files.checksums import check_checksum
from engine.files.regular import regular_file
from engine.models.files.refusals import START, check_start
from engine.models.files.safe import read_json

LARGEST = 1 << 25
"""Bytes of the longest file that is read."""


def read_object(path: Path, what: str) -> dict[str, Any]:
    """Return the object in a JSON file.  Raises ValueError saying that the file is not `what`, and why."""
    try:
        with regular_file(path).open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    check_start(path, text[:START])
    check_checksum(path)
    try:
        if len(text) > LARGEST:
            raise ValueError(f"it is longer than {LARGEST} bytes")
        found = read_json(text)
    except ValueError as error:
        raise ValueError(f"{path} is not {what}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not {what}: it holds no object")
    return found
