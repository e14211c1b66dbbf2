"""The first steps: six keys, shown one after another until each was pressed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from textual.widgets import Static

from remdm_tui.screens.watch import WatchScreen
from remdm_tui.screens.watch_keys import DECLARED
from remdm_tui.watch.key_names import key

STEPS = (
    ("play", "play or pause; nothing recorded is lost"),
    ("forward", "take one step, and pause"),
    ("back", "go one step back; nothing is lost"),
    ("strategy-next", "switch the strategy from this step on"),
    ("inspect", "inspect a token: its history so far"),
    ("help", "list every key"),
)
"""Ids of keys, and what they do."""
ACTIONS = {binding.action: binding.id for _, binding in DECLARED}


@dataclass(frozen=True)
class Tour:
    """The keys that were pressed so far."""

    done: frozenset[str] = frozenset()

    @property
    def now(self) -> int | None:
        """The index of the step on screen; None if all are done."""
        return next((i for i, (name, _) in enumerate(STEPS) if name not in self.done), None)

    def did(self, action: str) -> Tour:
        """Return the tour after an action; only the action of the step on screen counts."""
        now = self.now
        name = ACTIONS.get(action)
        return replace(self, done=self.done | {name}) if now is not None and name == STEPS[now][0] else self

    def line(self, keys: Mapping[str, str]) -> str:
        """Return the line to show; `keys` maps ids to readable keys."""
        now = self.now
        if now is None:
            return ""
        name, does = STEPS[now]
        return f"first steps {now + 1}/{len(STEPS)}:  {keys[name]}  {does}  ({keys['cancel']} ends)"


class TourGuide:
    """Shows the first steps below the text."""

    def __init__(self, screen: WatchScreen, toured: bool) -> None:
        """toured: whether they were shown in an earlier session."""
        self._screen, self.toured = screen, toured
        self._tour: Tour | None = None
        self._line: Static | None = None

    def begin(self) -> None:
        """Show the first step."""
        if self._line is None:
            self._line = Static("", id="tour", markup=False)
            # over the bars of the timeline: nothing moves, and what it tells a newcomer to look at stays visible
            self._screen.mount(self._line)
        self._show(Tour())

    def did(self, action: str) -> None:
        """Go to the next step if `action` was the one on screen."""
        if self._tour is not None:
            self._show(self._tour.did(action))

    def escape(self) -> bool:
        """End the tour, unless escape has something else to cancel.  Return whether it ended."""
        if self._tour is None or self._screen.escape.pending:
            return False
        self._end(f"First steps closed ({key('tour')} or the palette: show them again)")
        return True

    def _show(self, tour: Tour) -> None:
        before, self._tour = self._tour, tour
        if tour.now is None:
            self._end(f"End of the first steps ({key('tour')} or the palette: show them again)")
        elif self._line is not None and tour != before:
            # it has its row, and laying the screen out again would delay every key
            self._line.update(tour.line(self._screen.controls.table.shown()), layout=False)

    def _end(self, sentence: str) -> None:
        self._tour, self.toured = None, True
        if self._line is not None:
            self._line.remove()
            self._line = None
        self._screen.controls.say(sentence, "note")
