"""The files of a model, and a digest of everything that decides its output."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from engine.files.digests import OnProgress, file_digests
from engine.files.fingerprint import fingerprint
from engine.files.run_layout import NEWEST, holds_checkpoint
from engine.models.catalogue import resolve
from engine.models.hub import cached
from engine.models.tokenizer import tokenizer_source
from engine.records import ModelChoice
from engine.system.callbacks import ignore


def model_files(name: str) -> Path:
    """Return the file or directory that a model is read from; one of the hub must have been downloaded."""
    home = resolve(name) or cached(name)
    if holds_checkpoint(home) and not (home / "config.json").exists():
        home /= NEWEST  # the newest exported model of a training run
    return home


def files_digest(files: Sequence[Path]) -> str:
    """Return a digest of the names and whole contents of files, wherever they lie.  Raises OSError."""
    digests = [f"{path.name} {digest}" for path, digest in zip(files, file_digests(files), strict=True)]
    return hashlib.sha256("\n".join(digests).encode(errors="surrogateescape")).hexdigest()


def identity(choice: ModelChoice, outside: Sequence[Path] = (), progress: OnProgress = ignore) -> str:
    """Return a digest of everything that decides a loaded model's output, 64 hexadecimal digits.

    Empty if its files cannot be read.  outside: files that it was loaded from besides its own and the chosen
    tokenizer (`TextModel.outside`).  progress: called with (bytes read, bytes in total).
    """
    try:
        found = [fingerprint(model_files(choice.name), progress), str(choice.ema), str(choice.mask_id)]
        if choice.tokenizer is not None:
            found.append(fingerprint(tokenizer_source(choice.tokenizer), progress))
        if outside:
            found.append(files_digest(outside))
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(" ".join(found).encode()).hexdigest()
