"""Recorded steps that the engine computes again before it continues a run.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from engine.debug.messages import Fork
from engine.messages import Begin, SettingsData
from engine.records import Edit


@dataclass(frozen=True)
class RecordedSteps:
    """The steps before `at`: what decided them, and the edits among them; `settings` decide the steps after."""

    settings: SettingsData
    at: int
    past: dict[int, SettingsData]
    edits: dict[int, Edit]

    @classmethod
    def of(cls, command: Begin | Fork) -> RecordedSteps | None:
        """Return the recorded steps that a command comes with, if any."""
        if command.settings is None or command.at < 1:
            return None
        return cls(command.settings, command.at, dict(command.past), dict(command.edits))
