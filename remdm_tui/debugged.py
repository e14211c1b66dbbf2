"""What the command line says to the debugger, checked before the screen is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from remdm_tui.asked import Asked, given_knobs
from remdm_tui.stops import Stops


def wishes(
    asked: Asked, stops: Sequence[str], strategy_file: str | None, elsewhere: bool
) -> tuple[Asked, dict[str, Any]]:
    """What is left to ask of the run, and fields of `WatchOptions`.

    elsewhere: whether the engine is on another machine, whose files are not known here.  Raises ValueError.
    """
    Stops(stops)
    more: dict[str, Any] = {"stops": tuple(stops)}
    if strategy_file is None:
        return asked, more
    path = strategy_file
    if not elsewhere:
        if not Path(path).is_file():
            raise ValueError(f"there is no file {path}: begin one with `remdm-tui new-strategy {path}`")
        path = str(Path(path).resolve())
    more["strategy_file"] = path
    if asked.strategy is None:
        more["file_knobs"] = tuple(given_knobs(asked.knob, asked.eta).items())
        asked = replace(asked, knob=(), eta=None)
    return asked, more
