"""The kinds of files that a recording can be exported to; the module of a kind is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from engine.recording import RecordedTrace, Recording

FRAMES = 600
"""Steps of a moving picture at most, by default."""


@dataclass(frozen=True)
class ExportRequest:
    """One sample of one branch of a recording, and how to show it."""

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
        """Return the trace of the branch."""
        return self.recording.trace(self.branch)

    @property
    def position(self) -> int:
        """Return the position to show."""
        return len(self.trace) if self.step is None else self.step

    def positions(self, most: int = FRAMES) -> list[int]:
        """Return the positions that a moving picture shows, the first and the last among them."""
        last = len(self.trace)
        every = self.every or max(1, -(-last // most))
        return [*range(0, last, every), last]


@dataclass(frozen=True)
class ExportKind:
    """One way to write a recording; `function` is `module:name` below this package."""

    name: str
    summary: str
    function: str
    moving: bool = True
    """whether it shows the whole run, not one step"""

    def write(self, request: ExportRequest) -> str:
        """Write the file; return what it lacks, empty if nothing.

        Raises ValueError for a missing package or a bad request, OSError if it is not writable.
        """
        module, name = self.function.split(":")
        write = getattr(import_module(f"remdm_tui.exports.{module}"), name)
        return cast(Callable[[ExportRequest], str | None], write)(request) or ""


EXPORT_KINDS = {
    kind.name: kind
    for kind in (
        ExportKind("txt", "the text of one step", "text:write", moving=False),
        ExportKind("svg", "one step as a picture that scales", "pictures:svg", moving=False),
        ExportKind("png", "one step as a picture", "pictures:png", moving=False),
        ExportKind("gif", "the run as a moving picture", "pictures:gif"),
        ExportKind("cast", "the run as an asciicast (v2) for terminal players", "asciicast:write"),
        ExportKind("html", "the run as one page with a player in it", "page:write"),
        ExportKind("map.svg", "the map of positions by steps, with axes", "maps:svg"),
        ExportKind("map.png", "the map of positions by steps, alone", "maps:png"),
        ExportKind("csv", "the figures of every step", "tables:csv"),
        ExportKind("parquet", "the figures of every step, for data frames", "tables:parquet"),
    )
}
"""By the ending of the file."""
