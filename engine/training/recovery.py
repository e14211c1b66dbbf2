"""Which checkpoint of a run's directory to go on from: the last one, or the newest step file that is whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from engine.files.checkpoint_files import read_state
from engine.files.run_layout import BEST, CHECKPOINT, HUB, MODEL, NEWEST, checkpoints
from engine.training.config import TrainConfig

PARTS = {"model": dict, "optimizers": list, "ema": dict, "step": int, "best": float, "config": str}
"""What a checkpoint holds, by type."""
LEFT_BY_RUNS = (BEST, "log.jsonl", "samples.jsonl", MODEL, HUB, NEWEST)
"""What a run leaves behind besides its checkpoints."""


@dataclass(frozen=True)
class Recovered:
    """A whole checkpoint."""

    path: Path
    state: dict[str, Any]
    config: TrainConfig
    note: str
    """why it is not the last one; empty if it is"""
    damaged: bool
    """whether there is a last one that is damaged"""


def recover(home: Path, lazily: bool = False) -> Recovered | None:
    """Read the newest whole checkpoint of a run's directory; None if there is no checkpoint.

    lazily: as `read_state` takes it.  Raises ValueError if there are some and none is whole.
    """
    last = home / CHECKPOINT
    faults: list[str] = []
    for path in checkpoints(home):
        try:
            state = read_state(path, torch.device("cpu"), lazily)
            config = _config(path, state)
        except ValueError as error:
            faults.append(str(error))
            continue
        damaged = bool(faults) and last.exists()
        missing = "" if damaged or path == last else f"{last} is missing"
        why = "; ".join(faults) or missing
        return Recovered(
            path, state, config, f"{why}: {path.name} is the newest whole checkpoint" if why else "", damaged
        )
    if faults:
        more = f", and so are {len(faults) - 1} more checkpoints" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{more}: restore a whole checkpoint, or choose another --out")
    return None


def refuse_leftovers(home: Path, tokenizer_file: str, tokenizer: str) -> None:
    """Raise ValueError where a run that begins would write over files of another one."""
    left = [name for name in LEFT_BY_RUNS if _holds_something(home / name)]
    if left:
        raise ValueError(
            f"{home} holds {', '.join(left)} of a run and no checkpoint to go on from: restore its {CHECKPOINT}, or "
            "choose another --out"
        )
    there = home / tokenizer_file
    if there.exists() and not (there.is_file() and there.read_bytes() == tokenizer.encode()):
        raise ValueError(f"{home} holds another {tokenizer_file} than the data's: choose another --out")


def _holds_something(path: Path) -> bool:
    if path.is_dir():
        return any(path.iterdir())
    return path.exists() and path.stat().st_size > 0


def _config(path: Path, state: Mapping[str, Any]) -> TrainConfig:
    """The configuration in a checkpoint that has all its parts.  Raises ValueError for another."""
    for name, kind in PARTS.items():
        if not isinstance(state.get(name), kind):
            what = "has no" if name not in state else "has a wrong"
            raise ValueError(f"{path} is no checkpoint of a training run: it {what} {name!r}")
    try:
        # every key is known and has a type, so that nothing is read deep enough to recurse without end
        return msgspec.json.decode(state["config"], type=TrainConfig)
    except ValueError as error:
        raise ValueError(f"{path} is no checkpoint of a training run: its configuration is wrong: {error}") from error
