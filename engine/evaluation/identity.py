"""Which files a model is made of, and the digest of what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from engine.files.digests import OnProgress, file_digests
from engine.files.fingerprint import fingerprint
from engine.files.run_layout import NEWEST, holds_checkpoint
from engine.models.catalogue import resolve
from engine.models.hub import cached
from engine.models.tokenizer import tokenizer_place
from engine.records import ModelChoice
from engine.system.callbacks import ignore


def model_files(name: str) -> Path:
    """Return the file or directory that a model of this name is read from; one of the hub must have been fetched."""
    home = resolve(name) or cached(name)
    if holds_checkpoint(home) and not (home / "config.json").exists():
        home /= NEWEST  # of a training run, which goes on, the model that was made of it
    return home


def files_digest(files: Sequence[Path]) -> str:
    """Return a digest of the names and whole contents of files, wherever they lie.  Raises OSError."""
    told = [f"{path.name} {digest}" for path, digest in zip(files, file_digests(files), strict=True)]
    return hashlib.sha256("\n".join(told).encode(errors="surrogateescape")).hexdigest()


def identity(choice: ModelChoice, outside: Sequence[Path] = (), told: OnProgress = ignore) -> str:
    """Return a digest of everything that decides what a model that has been loaded says, 64 hexadecimal digits.

    Empty where its files cannot be read.  outside: files that it was loaded from besides its own and those that were
    chosen (`TextModel.outside`).  told: is given the bytes read so far and in all.
    """
    try:
        found = [fingerprint(model_files(choice.name), told), str(choice.ema), str(choice.mask_id)]
        if choice.tokenizer is not None:
            found.append(fingerprint(tokenizer_place(choice.tokenizer), told))
        if outside:
            found.append(files_digest(outside))
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(" ".join(found).encode()).hexdigest()
