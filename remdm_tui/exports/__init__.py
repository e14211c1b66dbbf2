"""What a recording can be written as, by name; each kind's module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from engine.recording import RecordedTrace, Recording

FRAMES = 600
"""Steps of a moving picture at most, unless asked otherwise."""


@dataclass(frozen=True)
class Request:
    """One sample of one branch of a recording, and how it is to be shown."""

    recording: Recording
    out: Path
    branch: int = 0
    sample: int = 0
    step: int | None = None
    """the position to show; None: the last"""
    columns: int = 100
    every: int | None = None
    """steps between two pictures; None: as few as make at most `FRAMES`"""
    rate: float = 20.0
    """pictures a second"""
    light: bool = False
    ascii: bool = False

    @property
    def trace(self) -> RecordedTrace:
        return self.recording.trace(self.branch)

    @property
    def position(self) -> int:
        return len(self.trace) if self.step is None else self.step

    def positions(self, most: int = FRAMES) -> list[int]:
        """The positions that a moving picture shows; the first and the last are among them."""
        last = len(self.trace)
        every = self.every or max(1, -(-last // most))
        return [*range(0, last, every), last]


@dataclass(frozen=True)
class Kind:
    """One way to write a recording; `home` names the function."""

    name: str
    summary: str
    home: str
    moving: bool = True
    """whether it shows the whole run and not one step"""

    def write(self, request: Request) -> None:
        """Raises ValueError for what is missing, OSError where the file cannot be written."""
        module, function = self.home.split(":")
        cast(Callable[[Request], None], getattr(import_module(f"remdm_tui.exports.{module}"), function))(request)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("txt", "the text of one step", "text:write", moving=False),
        Kind("svg", "one step as a picture that scales", "pictures:svg", moving=False),
        Kind("png", "one step as a picture", "pictures:png", moving=False),
        Kind("gif", "the run as a moving picture", "pictures:gif"),
        Kind("cast", "the run as an asciicast (v2) for terminal players", "asciicast:write"),
        Kind("html", "the run as one page with a player in it", "page:write"),
        Kind("csv", "the figures of every step", "tables:csv"),
        Kind("parquet", "the figures of every step, for data frames", "tables:parquet"),
    )
}
"""By the ending of the file."""
