"""What a person brings to a session: what is configured, and how the last session ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from remdm_tui import configuration
from remdm_tui.asked import Asked
from remdm_tui.configuration import Configuration
from remdm_tui.options import WatchOptions
from remdm_tui.remembered import Memory, Remembered

HOW = ("preset", "strategy", "eta", "knob", "top_p", "temperature", "nucleus", "draw")
"""Options that say how to sample: with any of them nothing of that is as in the last session."""
HINT = "the knobs are as the last session left them: --fresh begins with the defaults"


def _says_how(asked: Asked) -> bool:
    return any(getattr(asked, name) not in (None, ()) for name in HOW)


@dataclass(frozen=True)
class Comfort:
    """The default is for sessions that nobody's directories have to do with."""

    configuration: Configuration = field(default_factory=Configuration)
    memory: Memory = field(default_factory=Memory)
    fresh: bool = False
    """whether to begin as the first session did"""
    keeps_knobs: bool = False
    """whether the next session is to begin with the knobs that this one ends with"""
    tours: bool = False
    """whether who has never seen the first steps sees them now"""

    @classmethod
    def read(cls, **more: Any) -> Comfort:
        return cls(configuration.read(), Memory.read(), **more)

    @property
    def start(self) -> Remembered:
        """What the session begins with."""
        last = self.memory.last
        return Remembered(toured=last.toured) if self.fresh or not self.configuration.remember else last

    def fitted(self, options: WatchOptions, asked: Asked | None = None) -> WatchOptions:
        """The options as they are for this person; what was asked for stays as it was.

        asked: what the command line said, where the last session's knobs may be used for what it did not.
        """
        known = self.configuration
        problems = (*known.problems, *filter(None, [self.memory.problem]))
        options = replace(
            options, ascii=options.ascii or known.ascii, mouse=options.mouse and known.mouse, problems=problems
        )
        sampler = self.start.sampler
        if asked is None or sampler is None or options.strategy_file or _says_how(asked):
            return options
        settings = sampler.settings()
        if settings is None or settings == options.settings:
            return options
        return replace(options, settings=settings, hint=HINT)
