"""What `watch` was asked to show, checked as far as that is possible without a model."""

from __future__ import annotations

from dataclasses import dataclass

from engine.records import Settings

DEFAULT_STRATEGY = "remdm-cap"


@dataclass(frozen=True)
class WatchOptions:
    """A run to watch; the defaults are those of the command line."""

    settings: Settings
    model: str = "demo"
    device: str = "auto"
    dtype: str = "auto"
    steps: int = 256
    length: int = 128
    batch: int = 1
    seed: int = 0
    prompt: str = ""
    paused: bool = False
    ascii: bool = False
    mouse: bool = True
