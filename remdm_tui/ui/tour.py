"""The first steps: six keys, one after another, each until it has been pressed.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from remdm_tui.ui.key_table import KEYS

STEPS = (
    ("play", "plays and pauses; what is recorded stays"),
    ("forward", "takes one step, and pauses"),
    ("back", "goes one step back; nothing is lost"),
    ("strategy-next", "takes another strategy from this step on"),
    ("inspect", "looks at a position: its story so far"),
    ("help", "lists every key"),
)
"""Ids of keys, and what they do."""
ACTIONS = {binding.action: binding.id for binding in KEYS}


@dataclass(frozen=True)
class Tour:
    """Which keys have been pressed."""

    done: frozenset[str] = frozenset()

    @property
    def now(self) -> int | None:
        """The number of the step that is shown; None: all are done."""
        return next((i for i, (name, _) in enumerate(STEPS) if name not in self.done), None)

    def did(self, action: str) -> Tour:
        """Somebody has done something: it counts where it is the step that is shown."""
        now = self.now
        name = ACTIONS.get(action)
        return replace(self, done=self.done | {name}) if now is not None and name == STEPS[now][0] else self

    def line(self, keys: Mapping[str, str]) -> str:
        """What to press now; keys: by id, as a person calls them."""
        now = self.now
        if now is None:
            return ""
        name, does = STEPS[now]
        return f"first steps {now + 1}/{len(STEPS)}:  {keys[name]}  {does}  (esc ends)"
