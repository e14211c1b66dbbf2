"""Find a checkpoint to resume from in a run's directory, or files of another run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.files import recovery
from engine.files.run_layout import BEST, CHECKPOINT, HUB, LOG, MODEL, NEWEST, TEXTS
from engine.training.config import TrainConfig

LEFT_BY_RUNS = (BEST, LOG, TEXTS, MODEL, HUB, NEWEST)
"""Files that a run writes besides its checkpoints."""

RecoveredRun = recovery.Recovered[TrainConfig]


def recover_run(home: Path, lazily: bool = False) -> RecoveredRun | None:
    """Read the newest whole checkpoint of a run's directory with its configuration, see `engine.files.recovery`."""
    return recovery.recover(home, _config, lazily)


def refuse_leftovers(home: Path, tokenizer_file: str, tokenizer: str) -> None:
    """Raise ValueError if a new run would overwrite files of another one."""
    left = [name for name in LEFT_BY_RUNS if _holds_something(home / name)]
    if left:
        raise ValueError(
            f"{home} holds {', '.join(left)} of a run and no checkpoint to resume from: restore its {CHECKPOINT}, or "
            "choose another --out"
        )
    there = home / tokenizer_file
    if there.exists() and not (there.is_file() and there.read_bytes() == tokenizer.encode()):
        raise ValueError(f"{home} holds another {tokenizer_file} than the data's: choose another --out")


def _holds_something(path: Path) -> bool:
    if path.is_dir():
        return any(path.iterdir())
    return path.exists() and path.stat().st_size > 0


def _config(state: Mapping[str, Any]) -> TrainConfig:
    return msgspec.json.decode(state["config"], type=TrainConfig)
