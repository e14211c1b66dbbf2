"""Start-up choices: the command line first, then the configuration, then the last session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from textual.binding import Binding

from engine.records import SHARED, Settings
from engine.strategies import REGISTRY, make, values
from remdm_tui.preferences import config_file
from remdm_tui.preferences.last_session import Memory, Sampler
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watch_options import WatchOptions

HOW = (
    "preset",
    "strategy",
    "eta",
    "knob",
    "top_p",
    "temperature",
    "nucleus",
    "draw",
    "cfg",
    "eos_bias",
    "eos_confidence",
)
"""Options that say how to sample: with any of them nothing of that is as in the last session."""
HINT = "Restored the last session's knobs (--fresh for defaults)"


def read_preferences(bindings: Sequence[Binding], *, keeps_knobs: bool = False, **more: Any) -> Preferences:
    """Read the preferences from the user's directories.

    bindings: those whose keys a person may set; keeps_knobs: whether the next session begins with this one's knobs.
    """
    kept = frozenset(REGISTRY) if keeps_knobs else frozenset()
    return Preferences(config_file.read_configuration(bindings), Memory.read(), kept=kept, **more)


def apply_preferences(
    options: WatchOptions, brought: Preferences, arguments: RunArguments | None = None
) -> WatchOptions:
    """Return the options with preferences applied; what the command line set stays.

    arguments: the command line's, where the last session's knobs may be used for what it did not.
    """
    known = brought.configuration
    problems = (*known.problems, *filter(None, [brought.memory.problem]))
    options = replace(
        options, ascii=options.ascii or known.ascii, mouse=options.mouse and known.mouse, problems=problems
    )
    sampler = brought.start.sampler
    if arguments is None or sampler is None or options.strategy_file or _sets_sampling(arguments):
        return options
    settings = sampler_settings(sampler)
    if settings is None or settings == options.settings:
        return options
    return replace(options, settings=settings, hint=HINT)


def sampler_settings(sampler: Sampler) -> Settings | None:
    """Return the settings; None if a strategy or value is unknown.  Imports no strategy package."""
    try:
        strategy = make(REGISTRY, sampler.strategy, sampler.knobs)
        shared = {name: getattr(sampler, name) for name in SHARED}
        return Settings(strategy.name, values(strategy), **shared).checked()
    except (ValueError, TypeError):
        return None


def _sets_sampling(arguments: RunArguments) -> bool:
    return any(getattr(arguments, name) not in (None, ()) for name in HOW)
