"""The debugger of a session: breakpoints, what was found, the position that is looked at, branches and panes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from engine.debug.findings import Story
from engine.records import Edit
from remdm_tui.link.base import Link
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch.branches import BranchSet
from remdm_tui.watch.breakpoints import Breakpoints, Stop
from remdm_tui.watch.findings import Findings
from remdm_tui.watch.inspector import Inspector
from remdm_tui.watch.panes import PaneGroup, first_hits
from remdm_tui.watch.store import Store

Kind = Literal["mask", "force", "lock", "unlock", "prompt"]


class Debugger:
    """Outlives runs, models and engines."""

    def __init__(self, store: Store, link: Callable[[], Link]) -> None:
        """link: returns the engine that is there now."""
        self._store, self._link = store, link
        self.stops = Breakpoints(store.state.options.stops)
        self.findings = Findings()
        self.inspector = Inspector()
        self.comparing = PaneGroup(store)
        self.branching = BranchSet(store, self.comparing)

    @property
    def waiting(self) -> bool:
        """Whether something will come by itself."""
        state = self._store.state
        return self.inspector.waiting or state.branches.moving or bool(state.lead)

    def brief(self, link: Link) -> None:
        """Tell a new engine what the last one knew."""
        if self._store.state.options.strategy_file:
            link.use_file(self._store.state.options.strategy_file)
        for stop in self.stops.listed:
            _send(link, stop)

    # -- what people do

    def stop_at(self, text: str) -> None:
        """Add a breakpoint.  Raises ValueError for a text that is no condition."""
        _send(self._link(), self.stops.add(text))

    def toggle_stop(self, number: int) -> None:
        _send(self._link(), self.stops.toggle(number))

    def remove_stop(self, number: int) -> None:
        self.stops.remove(number)
        self._link().clear(number)

    def alter(self, kind: Kind, position: int, tokens: tuple[int, ...] = (), held: float = 1.0) -> None:
        """Change the sample on screen by hand, at the position in time on screen: in the past on a branch.

        Raises ValueError while the run plays or if there is no engine.
        """
        state = self._store.state
        if state.running is None or not state.live:
            raise ValueError("there is no engine here to change anything: R starts one")
        if state.player.playing:
            raise ValueError("a run that plays is not changed by hand: space pauses it")
        self._store.dispatch(e.EditCanvas(Edit(kind, state.sample, position, tokens, held)))

    def story(self, wait: float = 0.0) -> Story | None:
        """Return what happened to the position that is looked at, as far as it has been read."""
        state = self._store.state
        if state.record is None or state.running is None:
            return None
        return self.inspector.story(
            state.record, state.sample, first=state.running.run.first, playing=state.player.playing, wait=wait
        )

    # -- what the session is told to do

    def execute(self, command: c.ToDebugger) -> list[e.Event]:
        """Carry out a command; return what it has led to."""
        match command:
            case c.NewRun(pieces, fragments):
                self.findings.forget()
                self.inspector.forget()
                self.stops.use_pieces(pieces, fragments)
            case c.CheckBreakpoints(before):
                hits, branch = first_hits(self._store.state, self.stops, before)
                return [e.BreakpointsHit(hits, branch)] if hits else []
            case c.ShowViolation(violation):
                self.findings.broken.setdefault(violation.law, violation)
            case c.ShowFailure(failure):
                self.findings.failure = failure
            case c.ShowPrediction(opinion):
                self.inspector.opinion, self.inspector.pending = opinion, False
            case c.EndPrediction(hide, forget):
                self.inspector.pending = False
                self.inspector.asking = self.inspector.asking and not hide
                self.inspector.opinion = None if forget else self.inspector.opinion
        return []


def _send(link: Link, stop: Stop) -> None:
    """Set a breakpoint in an engine, or clear it where it is off."""
    if stop.on:
        link.stop_at(stop.number, stop.text)
    else:
        link.clear(stop.number)
