"""What lies in the directory of a training run, for those who look at it from outside.  No torch."""

from __future__ import annotations

import re
from pathlib import Path

CHECKPOINT = "last.pt"
"""The state that the run goes on from, of which a model can be made while it does."""
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
STEP_FILE = re.compile(r"step-(\d+)\.pt")
"""The states of earlier steps that a run keeps."""

WRITTEN = (
    "tokenizer.json", "log.jsonl", "samples.jsonl",
    *(f"{name}{more}" for name in (CHECKPOINT, BEST, "step-[0-9]*[0-9].pt") for more in ("", ".sha256")),
    *(f"{home}/{name}" for home in (MODEL, HUB, NEWEST) for name in (*MODEL_FILES, STEP)),
)  # fmt: skip
"""Files of a run that are written as a whole, as patterns."""


def holds_checkpoint(home: Path) -> bool:
    """Whether a directory has the last checkpoint of a training run, or one of an earlier step."""
    if not home.is_dir():
        return False
    return (home / CHECKPOINT).is_file() or any(STEP_FILE.fullmatch(path.name) for path in home.iterdir())
