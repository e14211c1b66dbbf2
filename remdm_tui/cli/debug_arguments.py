"""Options of the debugger and of panes, checked before the application starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.files.regular import is_there
from engine.strategies import catalogue, make_strategy
from remdm_tui.settings.knobs import parse_knobs
from remdm_tui.settings.pane_spec import pane_settings
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch.breakpoints import Breakpoints
from remdm_tui.watch.panes import MOST


def debug_options(
    arguments: RunArguments, breakpoints: Sequence[str], strategy_file: str | None, is_remote: bool
) -> tuple[RunArguments, dict[str, Any]]:
    """Return the arguments of the run without knobs of a strategy file, and fields of `WatchOptions`.

    is_remote: whether the engine is on another machine, whose files are unknown here.  Raises ValueError.
    """
    Breakpoints.of(breakpoints)
    more: dict[str, Any] = {"breakpoints": tuple(breakpoints)}
    if strategy_file is None:
        return arguments, more
    path = strategy_file
    if not is_remote:
        if not is_there(path):
            raise ValueError(f"{path} does not exist: create it with `remdm-tui new-strategy {path}`")
        path = str(Path(path).resolve())
    more["strategy_file"] = path
    if arguments.strategy is None:
        more["file_knobs"] = tuple(parse_knobs(arguments.knob, arguments.eta).items())
        arguments = replace(arguments, knob=(), eta=None)
    return arguments, more


def with_panes(options: WatchOptions, texts: Sequence[str], arguments: RunArguments) -> WatchOptions:
    """Return the options with the panes of `--compare`.

    The run's own strategy is a pane if there is only one other, or if it was given.  Raises ValueError that names
    the valid values.
    """
    if not texts:
        return options
    own, strategies = options.settings, catalogue()
    others = tuple(pane_settings(text, own, strategies) for text in texts)
    for settings in others:
        # the range of a knob may depend on another
        make_strategy(settings.strategy, **settings.knobs)
    if len(others) == 1 or arguments.strategy is not None or options.strategy_file:
        panes, explicit, hint = (own, *others), options.explicit, options.hint
    else:
        panes, explicit, hint = others, options.explicit | {"strategy"}, ""
    if len(panes) > MOST:
        raise ValueError(f"{MOST} panes are shown at most, not {len(panes)}: leave out a --compare")
    return replace(options, settings=panes[0], compare=panes[1:], explicit=explicit, hint=hint)
