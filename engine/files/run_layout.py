"""The layout of a training run's directory, to read it from outside.  No torch."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.files.checksums import CHECKSUM, mismatch
from engine.files.regular import regular_file

CHECKPOINT = "last.pt"
"""The state that the run resumes from; a model can be exported from it during the run."""
TOKENIZER = "tokenizer.json"
"""The tokenizer of the run, so that its checkpoints say what they speak."""
BEST = "best.pt"
"""The averaged weights with the lowest validation loss so far."""
MODEL = "model"
"""The directory of the model with these weights."""
HUB = "hub"
"""The directory of the same model in the layout of MDLM on the hub."""
NEWEST = "newest"
"""The directory of the model of the last checkpoint, not meant for publishing."""
LOG = "log.jsonl"
"""The losses of the run, a line for each step."""
TEXTS = "samples.jsonl"
"""The texts that the run sampled on its way."""
MODEL_FILES = ("config.json", "tokenizer.json", "model.safetensors")
"""The files of a model's directory."""
TOKENIZER_CONFIG = "tokenizer_config.json"
"""Beside a tokenizer of the transformers library: which of its tokens is the mask."""
LAYERS = ("embed_sum_layer.pt", "timestep_layer.pt")
"""The two layers of SSD-LM, in files of their own beside the weights of a masked language model."""
QUALITY = "quality.safetensors"
"""Beside a model, a head that scores tokens, which few strategies read."""
STEP = "step.json"
"""In NEWEST: the step of the exported checkpoint."""
WITH_CHECKSUMS = tuple(f"{name}{more}" for name in (*MODEL_FILES, STEP) for more in ("", CHECKSUM))
"""The same with the checksum of each."""
STEP_FILE = re.compile(r"step-(\d+)\.pt")
"""Checkpoints of earlier steps."""

WRITTEN = (
    LOG, TEXTS,
    *(f"{name}{more}" for more in ("", CHECKSUM) for name in (
        "tokenizer.json", CHECKPOINT, BEST, "step-[0-9]*[0-9].pt",
    )),
    *(f"{home}/{name}" for home in (MODEL, HUB, NEWEST) for name in WITH_CHECKSUMS),
    *(f"{HUB}/{name}{more}" for name in (TOKENIZER_CONFIG, *LAYERS) for more in ("", CHECKSUM)),
)  # fmt: skip
"""Patterns of the files that a run writes atomically."""


Stamp = tuple[int, int]
"""Identity of a version of a file: modification time in nanoseconds, and size in bytes."""


class ExportNote(msgspec.Struct, frozen=True):
    """step.json: the checkpoint that the newest model was exported from."""

    step: int | None = None
    at: int = 0
    bytes: int = 0
    """`at` and `bytes`: the stamp of the run at that time, see `stamp`"""
    note: str = ""
    """why that was not the last checkpoint; empty if it was"""


def read_exported(home: Path) -> ExportNote:
    """Return the step.json of a newest model's directory; empty if the file is missing, damaged or not regular."""
    try:
        file = regular_file(home / STEP)
        if mismatch(file):
            return ExportNote()
        return msgspec.json.decode(file.read_bytes(), type=ExportNote)
    except (OSError, ValueError, msgspec.DecodeError, RecursionError):
        return ExportNote()


def checkpoints(home: Path) -> list[Path]:
    """Return the checkpoints of a run, the last one first, then step files from the newest to the oldest."""
    inside = list(home.iterdir()) if home.is_dir() else []
    found = [(int(match[1]), path) for path in inside if (match := STEP_FILE.fullmatch(path.name))]
    last = home / CHECKPOINT
    return [*([last] if last.exists() else []), *(path for _, path in sorted(found, reverse=True))]


def stamp(home: Path) -> Stamp | None:
    """Return the latest stamp of a run's checkpoints; None if it has none.

    A step file is a copy of the last checkpoint with the same stamp, so that keeping one changes nothing.
    """
    found = []
    for path in checkpoints(home):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime_ns, status.st_size))
    return max(found, default=None)


def holds_checkpoint(home: Path) -> bool:
    """Return whether a directory has a checkpoint of a training run."""
    return bool(checkpoints(home))
