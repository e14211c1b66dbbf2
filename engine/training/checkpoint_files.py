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

from engine.files.digests import file_digest
from engine.files.whole_files import replace, replacing

CHECKSUM = ".sha256"
"""What is put behind a checkpoint's name: the digests of its content and of the content before that, a line each."""
ATTEMPTS = 20
"""How often a checkpoint is read that is replaced meanwhile."""
UNREADABLE = (
    RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, struct.error, LookupError, ValueError,
    AttributeError, TypeError, ArithmeticError, MemoryError,
)  # fmt: skip
"""What torch.load raises for a file that is no checkpoint."""


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Write a checkpoint and its checksum; a reader sees the old file or the new one.  Raises OSError."""
    with replacing(path) as part:
        with part.open("wb") as file:
            torch.save(state, file)
        # first the checksums of both, then the file: killed between the two, the old file is still a whole one
        there = [digest for digest in _checksums(path) if path.exists() and digest == file_digest(path)]
        _write_checksums(path, [file_digest(part), *there[:1]])


def write_text(path: Path, text: str) -> None:
    """Atomically, as `write_state`; a file that says so already stays."""
    if path.exists() and path.read_bytes() == text.encode():
        return
    replace(path, text.encode())


def read_state(path: Path, device: torch.device, lazily: bool = False) -> dict[str, Any]:
    """Read a file that the trainer has written.  Raises ValueError for another or a damaged one.

    lazily: tensors are read when they are used, also if the file has been replaced by then.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no file")
    for _ in range(ATTEMPTS):
        before = _identity(path)
        fault = _fault(path)
        try:
            state = None if fault else torch.load(path, map_location=device, weights_only=True, mmap=lazily)
        except UNREADABLE as error:
            fault = f"is no checkpoint of a training run, or damaged ({type(error).__name__})"
        if _identity(path) == before:
            break
    if fault:
        raise ValueError(f"{path} {fault}")
    if not isinstance(state, dict):
        raise ValueError(f"{path} is no checkpoint of a training run, or damaged")
    return state


def keep(path: Path, step: int) -> None:
    """Let the state at `path` stay as step-N.pt beside it, with its checksum."""
    kept = path.with_name(step_name(step))
    _write_checksums(kept, [*_checksums(path)[:1], *_checksums(kept)[:1]])
    with replacing(kept) as part:
        try:
            os.link(path, part)  # costs no space until `path` is written anew
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


def checksum(path: Path) -> Path:
    """Return where the checksums of a checkpoint lie."""
    return path.with_name(path.name + CHECKSUM)


def _fault(path: Path) -> str:
    """Say what is wrong with the file's bytes; empty if nothing is."""
    digest, known = file_digest(path), _checksums(path)
    if known:
        return "" if digest in known else f"is damaged: it does not match its checksum in {checksum(path).name}"
    # written before there were checksums, or moved without: its parts have some of their own
    try:
        with zipfile.ZipFile(path) as parts:
            bad = parts.testzip()
    except UNREADABLE:
        return "is no checkpoint of a training run, or damaged"
    return "" if bad is None else f"is damaged: its part {bad} does not match its checksum"


def _checksums(path: Path) -> list[str]:
    try:
        lines = checksum(path).read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line.split()[0] for line in lines if line.split()]


def _write_checksums(path: Path, digests: Iterable[str]) -> None:
    write_text(checksum(path), "".join(f"{digest}  {path.name}\n" for digest in dict.fromkeys(digests)))


def _identity(path: Path) -> tuple[int, ...]:
    seen = path.stat()
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns
