"""What a model's name means: a built-in, a directory or file, or a repository of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from engine.files.run_layout import holds_checkpoint
from engine.models.catalogue import resolve
from engine.models.hub import fetch
from engine.models.progress import LoadProgress
from engine.models.readers.training_run import export_newest


def locate(name: str, progress: LoadProgress, trust_remote_code: bool = False) -> Path:
    """Return the directory or file that a name means, fetched from the hub if need be.

    Of a training run that is the model of its last checkpoint, averaged weights, made on request.

    Raises ValueError with one sentence that says what would be valid.
    """
    here = resolve(name)
    if here is None:
        return fetch(name, progress, trust_remote_code)
    if holds_checkpoint(here) and not (here / "config.json").exists():
        return export_newest(here, progress).home
    return here
