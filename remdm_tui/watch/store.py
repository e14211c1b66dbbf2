"""The one place that replaces a watch session's state."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from remdm_tui.watch.commands import SessionCommand
from remdm_tui.watch.events import SessionEvent
from remdm_tui.watch.reducer import reduce
from remdm_tui.watch.state import Observed, SessionState


class Store:
    """Views read `state` and dispatch events; nothing else assigns to it."""

    def __init__(
        self,
        state: SessionState,
        observe: Callable[[SessionState], Observed],
        execute: Callable[[SessionCommand], Iterable[SessionEvent]],
    ) -> None:
        """observe: returns a snapshot of link and recording; execute: runs a command and returns its outcomes."""
        self._state, self._observe, self._execute = state, observe, execute

    @property
    def state(self) -> SessionState:
        return self._state

    def observe(self) -> SessionState:
        """Return the state with a new snapshot of link and recording."""
        self._state = replace(self._state, observed=self._observe(self._state))
        return self._state

    def dispatch(self, event: SessionEvent) -> None:
        """Reduce an event, execute the commands, and reduce their outcomes."""
        events = deque([event])
        while events:
            self._state, commands = reduce(self.observe(), events.popleft())
            for command in commands:
                events.extend(self._execute(command))
