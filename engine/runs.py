"""What lies in the directory of a training run, for those who look at it from outside.  No torch."""

from __future__ import annotations

import re
from pathlib import Path

CHECKPOINT = "last.pt"
"""The state that the run goes on from, of which a model can be made while it does."""
BEST = "best.pt"
"""The averages with the lowest validation loss so far."""
NEWEST = "newest"
"""The directory of that model, which is not what one would publish."""
STEP = "step.json"
"""In it: which step it was made of."""
STEP_FILE = re.compile(r"step-(\d+)\.pt")
"""The states of earlier steps that a run keeps."""


def holds_checkpoint(home: Path) -> bool:
    """Whether a directory has the last checkpoint of a training run, or one of an earlier step."""
    if not home.is_dir():
        return False
    return (home / CHECKPOINT).is_file() or any(STEP_FILE.fullmatch(path.name) for path in home.iterdir())
