"""The files that a run leaves behind: whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from engine.files.atomic import replacing
from engine.files.checksums import checksum, known, mismatch, replacing_checked, write_checksums

ATTEMPTS = 20
"""How often a checkpoint is read that is replaced meanwhile."""
UNREADABLE = (
    RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, struct.error, LookupError, ValueError,
    AttributeError, TypeError, ArithmeticError, MemoryError,
)  # fmt: skip
"""What torch.load raises for a file that is no checkpoint."""


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Write a checkpoint and its checksum; a reader sees the old file or the new one.  Raises OSError."""
    with replacing_checked(path) as part, part.open("wb") as file:
        torch.save(state, file)


def read_state(path: Path, device: torch.device, lazily: bool = False) -> dict[str, Any]:
    """Read a file that the trainer has written.  Raises ValueError for another or a damaged one.

    lazily: tensors are read when they are used, also if the file has been replaced by then.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a file")
    for _ in range(ATTEMPTS):
        before = _identity(path)
        fault = _fault(path)
        try:
            state = None if fault else torch.load(path, map_location=device, weights_only=True, mmap=lazily)
        except UNREADABLE as error:
            fault = f"is not a checkpoint of a training run, or damaged ({type(error).__name__})"
        if _identity(path) == before:
            break
    if fault:
        raise ValueError(f"{path} {fault}")
    if not isinstance(state, dict):
        raise ValueError(f"{path} is not a checkpoint of a training run, or damaged")
    return state


def keep(path: Path, step: int) -> None:
    """Let the state at `path` stay as step-N.pt beside it, with its checksum."""
    kept = path.with_name(step_name(step))
    write_checksums(kept, [*known(path)[:1], *known(kept)[:1]])
    with replacing(kept) as part:
        try:
            os.link(path, part)  # costs no space until `path` is written again
        except OSError:
            shutil.copy2(path, part)  # with the time, by which `runs.stamp` knows it


def step_name(step: int) -> str:
    return f"step-{step:08}.pt"


def drop(home: Path, steps: Iterable[int]) -> None:
    """Delete the step files of these steps with their checksums."""
    for step in steps:
        path = home / step_name(step)
        path.unlink(missing_ok=True)
        checksum(path).unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint to a name that nothing else has; return that."""
    number = 1
    while (to := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    os.replace(path, to)
    checksum(path).unlink(missing_ok=True)
    return to


def _fault(path: Path) -> str:
    """Say what is wrong with the file's bytes; empty if nothing is."""
    if known(path):
        fault = mismatch(path)
        return f"is damaged: it {fault}" if fault else ""
    # written before there were checksums, or moved without: its parts have some of their own
    try:
        with zipfile.ZipFile(path) as parts:
            bad = parts.testzip()
    except UNREADABLE:
        return "is not a checkpoint of a training run, or damaged"
    return "" if bad is None else f"is damaged: its part {bad} does not match its checksum"


def _identity(path: Path) -> tuple[int, ...]:
    seen = path.stat()
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns
