"""Which checkpoint of a training run counts: the last one, or the newest step file that is whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from engine.files.checkpoint_files import read_state
from engine.files.run_layout import CHECKPOINT, checkpoints

PARTS = {"model": dict, "optimizers": list, "ema": dict, "step": int, "best": float, "config": str}
"""What a checkpoint holds, by type."""

Config = TypeVar("Config")


@dataclass(frozen=True)
class Recovered(Generic[Config]):
    """A whole checkpoint."""

    path: Path
    state: dict[str, Any]
    config: Config
    """what the caller reads out of the state"""
    note: str
    """why it is not the last one; empty if it is"""
    damaged: bool
    """whether there is a last one that is damaged"""


def recover(home: Path, read: Callable[[Mapping[str, Any]], Config], lazily: bool = False) -> Recovered[Config] | None:
    """Read the newest whole checkpoint of a run's directory; None if there is no checkpoint.

    read: takes what the caller needs from the state; its ValueError means that the checkpoint does not count.
    lazily: as `read_state` takes it.  Raises ValueError if there are some and none is whole.
    """
    last = home / CHECKPOINT
    faults: list[str] = []
    for path in checkpoints(home):
        try:
            state = read_state(path, torch.device("cpu"), lazily)
            config = _read(path, state, read)
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


def _read(path: Path, state: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Config]) -> Config:
    for name, kind in PARTS.items():
        if not isinstance(state.get(name), kind):
            what = "has no" if name not in state else "has a wrong"
            raise ValueError(f"{path} is not a checkpoint of a training run: it {what} {name!r}")
    try:
        return read(state)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a checkpoint of a training run: its configuration is wrong: {error}"
        ) from error
