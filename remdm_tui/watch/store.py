"""The one place where a watch session's state is replaced."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from remdm_tui.watch.commands import Command
from remdm_tui.watch.events import Event
from remdm_tui.watch.reducer import reduce
from remdm_tui.watch.state import Observed, SessionState


class Store:
    """The views of a session read `state` and dispatch events; nothing assigns to it from outside."""

    def __init__(
        self,
        state: SessionState,
        observe: Callable[[SessionState], Observed],
        execute: Callable[[Command], Iterable[Event]],
    ) -> None:
        """observe: look at link and recording; execute: carry out a command and return what it has led to."""
        self._state, self._observe, self._execute = state, observe, execute

    @property
    def state(self) -> SessionState:
        return self._state

    def look(self) -> SessionState:
        """Return the state with what is recorded by now."""
        self._state = replace(self._state, observed=self._observe(self._state))
        return self._state

    def dispatch(self, event: Event) -> None:
        """Reduce an event, carry out the commands, and reduce what they lead to."""
        events = deque([event])
        while events:
            self._state, commands = reduce(self.look(), events.popleft())
            for command in commands:
                events.extend(self._execute(command))
