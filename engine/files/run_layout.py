"""What lies in the directory of a training run, for those who look at it from outside.  No torch."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.files.checksums import CHECKSUM, mismatch

CHECKPOINT = "last.pt"
"""The state that the run goes on from, of which a model can be made while it does."""
TOKENIZER = "tokenizer.json"
"""The tokenizer of the run, so that its checkpoints say what they speak."""
BEST = "best.pt"
"""The averages with the lowest validation loss so far."""
MODEL = "model"
"""The directory of the model of the best averages."""
HUB = "hub"
"""The directory of the same as the hub's copies of MDLM are laid out."""
NEWEST = "newest"
"""The directory of that model, which is not what one would publish."""
MODEL_FILES = ("config.json", "tokenizer.json", "model.safetensors")
"""What the directory of a model holds."""
STEP = "step.json"
"""In its directory: which step it was made of."""
WITH_CHECKSUMS = tuple(f"{name}{more}" for name in (*MODEL_FILES, STEP) for more in ("", CHECKSUM))
"""The same with the checksum of each."""
STEP_FILE = re.compile(r"step-(\d+)\.pt")
"""The states of earlier steps that a run keeps."""

WRITTEN = (
    "log.jsonl", "samples.jsonl",
    *(f"{name}{more}" for more in ("", CHECKSUM) for name in (
        "tokenizer.json", CHECKPOINT, BEST, "step-[0-9]*[0-9].pt",
    )),
    *(f"{home}/{name}" for home in (MODEL, HUB, NEWEST) for name in WITH_CHECKSUMS),
)  # fmt: skip
"""Files of a run that are written as a whole, as patterns."""


Stamp = tuple[int, int]
"""What a file is told from its successor by: when it was written, in nanoseconds, and its bytes."""


class Made(msgspec.Struct, frozen=True):
    """step.json: what the newest model was made of."""

    step: int | None = None
    at: int = 0
    bytes: int = 0
    """the stamp of the run at that time, see `stamp`"""
    note: str = ""
    """why that was not the last checkpoint; empty if it was"""


def read_made(home: Path) -> Made:
    """Return what the directory of a newest model says of itself; nothing for another one, or a damaged file."""
    try:
        if mismatch(home / STEP):
            return Made()
        return msgspec.json.decode((home / STEP).read_bytes(), type=Made)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Made()


def checkpoints(home: Path) -> list[Path]:
    """Return the checkpoints of a run, the last one first, then step files from the newest to the oldest."""
    inside = list(home.iterdir()) if home.is_dir() else []
    found = [(int(match[1]), path) for path in inside if (match := STEP_FILE.fullmatch(path.name))]
    last = home / CHECKPOINT
    return [*([last] if last.exists() else []), *(path for _, path in sorted(found, reverse=True))]


def stamp(home: Path) -> Stamp | None:
    """Return the latest stamp of all checkpoints of a run, any of which may be the one that counts; None without any.

    A step file is a copy of the last checkpoint with the same stamp, so that one that is kept changes nothing.
    """
    found = []
    for path in checkpoints(home):
        with suppress(OSError):
            seen = path.stat()
            found.append((seen.st_mtime_ns, seen.st_size))
    return max(found, default=None)


def holds_checkpoint(home: Path) -> bool:
    """Whether a directory has the last checkpoint of a training run, or one of an earlier step."""
    return bool(checkpoints(home))
