"""The map of one recorded sample of each series, where a recording lies beside an evaluation's files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.recording import Recording
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.plate_picture import MapPicture
from remdm_tui.reports.records import Evaluated, Series

ENDING = ".remdm"
"""Files that are recordings."""


@dataclass(frozen=True, eq=False)
class SampleMap:
    """A map as an SVG document; or why a recording has none."""

    title: str
    svg: str = ""
    problem: str = ""


def maps(series: Iterable[Series[Any]]) -> Iterator[SampleMap]:
    """Yield the map of the first recording of each series that has one, by the name of the file."""
    for one in series:
        found = next((found for found in map(_map, one.evaluations) if found is not None), None)
        if found is not None:
            yield found


def _map(one: Evaluated) -> SampleMap | None:
    paths = sorted(one.home.glob(f"*{ENDING}"))
    if not paths:
        return None
    title = sanitize(f"{one.strategy}, T={one.steps}: {paths[0].name}", cells=True)
    try:
        recording = Recording.open(paths[0])
    except (OSError, ValueError) as error:
        return SampleMap(title, problem=sanitize(str(error), cells=True))
    try:
        return SampleMap(title, MapPicture.of(recording.trace(), 0, light=True).svg(title))
    except ValueError as error:
        return SampleMap(title, problem=sanitize(str(error), cells=True))
    finally:
        recording.close()
