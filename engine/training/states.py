"""The files that a run leaves behind: whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

KEPT = re.compile(r"step-(\d+)\.pt")


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Atomically: a reader sees the old file or the new one, also when the disk is full, which raises OSError."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        # where the file cannot grow torch.save complains of positions, while it handles what the system said
        cause = error if isinstance(error, OSError) else error.__context__
        if isinstance(cause, OSError):
            raise OSError(cause.errno, cause.strerror, str(path)) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Atomically, as `write_state`; a file that says so already stays."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def read_state(path: Path, device: torch.device, lazily: bool = False) -> dict[str, Any]:
    """A file that the trainer has written; raises ValueError for another or a damaged one.

    lazily: tensors are read when they are used, also if the file has been replaced by then.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True, mmap=lazily)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is no checkpoint of a training run, or damaged") from error


def keep(path: Path, step: int, count: int) -> None:
    """Let the state at `path` stay as step-N.pt beside it, of which the newest `count` are left; 0: nothing stays."""
    if count == 0:
        return
    kept = path.with_name(f"step-{step:08}.pt")
    part = kept.with_name(kept.name + ".part")
    part.unlink(missing_ok=True)
    try:
        os.link(path, part)  # costs no space until `path` is written anew
    except OSError:
        shutil.copyfile(path, part)
    os.replace(part, kept)
    found = sorted((int(match[1]), other) for other in path.parent.iterdir() if (match := KEPT.fullmatch(other.name)))
    for _, old in found[:-count]:
        old.unlink()
