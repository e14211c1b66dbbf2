"""The end of the last session: a small versioned file that may be missing, damaged or newer."""

from __future__ import annotations

import glob
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from platformdirs import user_state_path

from engine.files.atomic import replace, tidy
from engine.files.regular import regular_file
from engine.records import SHARED, Settings
from remdm_tui.preferences.config_file import NAME
from remdm_tui.watch.player import SPEEDS

FILE = "session.json"
VERSION = 1
LARGEST = 1 << 16
"""Bytes of the file at most."""


class Sampler(msgspec.Struct, frozen=True):
    """`Settings` as they are written."""

    strategy: str
    knobs: dict[str, bool | int | float | str] = {}
    top_p: float = Settings.top_p
    nucleus: str = Settings.nucleus
    temperature: float = Settings.temperature
    draw: str = Settings.draw
    cfg: float = Settings.cfg
    eos_bias: float = Settings.eos_bias
    eos_confidence: str = Settings.eos_confidence

    @classmethod
    def of(cls, settings: Settings) -> Sampler:
        shared = {name: getattr(settings, name) for name in SHARED}
        return cls(settings.strategy, dict(settings.knobs), **shared)


class Remembered(msgspec.Struct, frozen=True, rename={"by_confidence": "heat"}):  # its name in version 1
    """What the next session restores."""

    version: int = VERSION
    toured: bool = False
    """whether the first steps have been shown"""
    theme: str | None = None
    by_confidence: bool = False
    """whether colour shows confidence; for versions that know no `colour`"""
    colour: str = ""
    """name of the colour mode; empty: as `by_confidence` says"""
    legend: bool = False
    speed: float | None = None
    """steps a second; None: as fast as it goes"""
    sampler: Sampler | None = None


class _Version(msgspec.Struct):
    version: int


@dataclass(frozen=True)
class Memory:
    """What was read, and where to write it; `path` None writes nothing."""

    last: Remembered = field(default_factory=lambda: Remembered(toured=True))
    path: Path | None = None
    problem: str = ""

    @classmethod
    def read(cls, path: Path | None = None) -> Memory:
        path = path or user_state_path(NAME, appauthor=False) / FILE
        tidy(path.parent, [glob.escape(path.name)])
        try:
            with regular_file(path).open("rb") as file:
                data = file.read(LARGEST + 1)
        except (OSError, ValueError):
            # none yet, or not ours to read: then a new one may be there to write
            return cls(Remembered(), path)
        try:
            if len(data) > LARGEST:
                raise ValueError("it is too large")
            if msgspec.json.decode(data, type=_Version).version > VERSION:
                # a later version's is left as it is
                return cls()
            last = msgspec.json.decode(data, type=Remembered)
            if last.speed is not None and last.speed not in SPEEDS:
                raise ValueError(f"there is no speed {last.speed}")
        except (ValueError, RecursionError) as error:
            return cls(Remembered(), path, f"the last session cannot be read ({path}: {error})")
        return cls(last, path)

    def write(self, now: Remembered) -> None:
        """Write the file atomically; ignore an OSError."""
        if self.path is None:
            return
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace(self.path, msgspec.json.format(msgspec.json.encode(now)))
