"""What the command line says to the debugger, checked before the screen is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.strategies import catalogue, make_strategy
from remdm_tui.settings.knobs import given_knobs
from remdm_tui.settings.pane_spec import settings_of
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch.breakpoints import Breakpoints
from remdm_tui.watch.panes import MOST


def wishes(
    asked: RunArguments, stops: Sequence[str], strategy_file: str | None, elsewhere: bool
) -> tuple[RunArguments, dict[str, Any]]:
    """What is left to ask of the run, and fields of `WatchOptions`.

    elsewhere: whether the engine is on another machine, whose files are not known here.  Raises ValueError.
    """
    Breakpoints(stops)
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


def beside(options: WatchOptions, texts: Sequence[str], asked: RunArguments) -> WatchOptions:
    """The run with the panes of `--compare`; its own strategy is one beside a single other, or if it was asked for.

    Raises ValueError with what would be valid.
    """
    if not texts:
        return options
    own, there = options.settings, catalogue()
    others = tuple(settings_of(text, own, there) for text in texts)
    for settings in others:
        # what one knob allows may hang on another
        make_strategy(settings.strategy, **settings.knobs)
    if len(others) == 1 or asked.strategy is not None or options.strategy_file:
        panes, said, hint = (own, *others), options.said, options.hint
    else:
        panes, said, hint = others, options.said | {"strategy"}, ""
    if len(panes) > MOST:
        raise ValueError(f"{MOST} panes are shown at most, not {len(panes)}: leave out a --compare")
    return replace(options, settings=panes[0], compare=panes[1:], said=said, hint=hint)
