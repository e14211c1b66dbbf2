"""The debugger of a session: breakpoints, findings, the inspected token, branches and panes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from engine.debug.findings import Hit, Prediction, Story, Violation
from engine.records import Edit
from remdm_tui.link.base import Link
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch.branches import BranchSet
from remdm_tui.watch.breakpoints import Breakpoint, Breakpoints, position_of
from remdm_tui.watch.drafts import DraftRequests, Place
from remdm_tui.watch.findings import Findings, suspect
from remdm_tui.watch.inspector import Inspector
from remdm_tui.watch.panes import PaneGroup, first_hits
from remdm_tui.watch.store import Store

MOST_RANKS = 200
"""Tokens of a prediction in which a revealed one is looked for."""
EditKind = Literal["mask", "force", "lock", "unlock", "prompt"]


class Debugger:
    """Lives as long as the session: over several runs, models and engines."""

    def __init__(self, store: Store, link: Callable[[], Link]) -> None:
        """link: returns the present link."""
        self._store, self._link = store, link
        self.breakpoints = Breakpoints(store.state.options.breakpoints)
        self.findings = Findings()
        self.inspector = Inspector()
        self.drafts = DraftRequests()
        self.panes = PaneGroup(store)
        self.branches = BranchSet(store, self.panes)

    @property
    def waiting(self) -> bool:
        """Whether an answer is on its way."""
        state = self._store.state
        return self.inspector.waiting or self.drafts.pending or state.branches.switching or bool(state.lead)

    def restore(self, link: Link) -> None:
        """Give a new engine the strategy file and the breakpoints."""
        if self._store.state.options.strategy_file:
            link.use_file(self._store.state.options.strategy_file)
        for stop in self.breakpoints.listed:
            _send(link, stop)

    # -- actions

    def add_breakpoint(self, text: str) -> None:
        """Add a breakpoint.  Raises ValueError for a text that is no condition."""
        _send(self._link(), self.breakpoints.add(text))

    def toggle_breakpoint(self, number: int) -> None:
        """Switch a breakpoint on or off."""
        _send(self._link(), self.breakpoints.toggle(number))

    def remove_breakpoint(self, number: int) -> None:
        """Remove a breakpoint."""
        self.breakpoints.remove(number)
        self._link().clear(number)

    def alter(self, kind: EditKind, position: int, tokens: tuple[int, ...] = (), held: float = 1.0) -> None:
        """Edit the sample on screen at the present step; in the past, on a new branch.

        Raises ValueError while the run plays or if no engine is live.
        """
        state = self._store.state
        if state.running is None or not state.live:
            raise ValueError("Editing needs a live engine (R: start one)")
        if state.player.playing:
            raise ValueError("Pause (space) to edit")
        self._store.dispatch(e.EditCanvas(Edit(kind, state.sample, position, tokens, held)))

    def story(self, wait: float = 0.0) -> Story | None:
        """Return the history of the inspected token, waiting up to `wait` seconds; None if it is not read yet."""
        state = self._store.state
        if state.record is None or state.running is None:
            return None
        return self.inspector.story(
            state.record, state.sample, first=state.running.run.first, playing=state.player.playing, wait=wait
        )

    def explain(self, seconds: float) -> None:
        """Ask the model for the rank of the selected token, if the step on screen revealed it and the run is paused."""
        state = self._store.state
        if not state.live or state.read_only or state.player.playing or state.player.stepping:
            return
        if self.inspector.wanted_rank(state.branch, state.sample, state.position, seconds):
            assert self.inspector.at is not None
            self._link().look(state.sample, self.inspector.at, state.position - 1, MOST_RANKS)

    @property
    def place(self) -> Place | None:
        """What drafts are asked for: the step on screen; None without a record and in a comparison."""
        state = self._store.state
        if state.record is None or state.panes.panes:
            return None
        return state.record, self.branches.current, state.sample, state.position

    def request_drafts(self) -> None:
        """Request the drafts of the step on screen, if somebody wants them.

        Not while the run plays: the answer would be to a step that has gone.
        """
        state, place = self._store.state, self.place
        if state.player.playing and not state.player.done:
            return
        if place is not None and state.live and not state.read_only and self.drafts.ask(place):
            self._link().draft(*place[2:])

    # -- commands

    def execute(self, command: c.ToDebugger) -> list[e.SessionEvent]:
        """Execute a command; return its outcomes."""
        match command:
            case c.NewRun(pieces, fragments):
                self.findings.clear()
                self.inspector.clear()
                self.drafts.forget()
                self.breakpoints.use_pieces(pieces, fragments)
            case c.CheckBreakpoints(start):
                hits, branch = first_hits(self._store.state, self.breakpoints, start)
                return [e.BreakpointsHit(hits, branch)] if hits else []
            case c.SelectToken(hits):
                self._select(hits)
            case c.ShowViolation(violation, branch, selects):
                self.findings.add(violation, branch)
                return self._select_suspect(violation) if selects else []
            case c.ShowFailure(failure):
                self.findings.failure = failure
            case c.ShowPrediction(prediction):
                self._take_prediction(prediction)
            case c.ShowDrafts(drafts, branch):
                self.drafts.answer(drafts, branch)
            case c.EndDrafts():
                self.drafts.end()
            case c.EndPrediction(hide, forget):
                self.inspector.pending = False
                self.drafts.forget()
                self.inspector.shows_prediction = self.inspector.shows_prediction and not hide
                self.inspector.prediction = None if forget else self.inspector.prediction
        return []

    def _select(self, hits: Sequence[Hit]) -> None:
        """Select the position for which breakpoints stopped; keep the selection if they name none."""
        state = self._store.state
        frame = None if state.record is None else state.record.frame(hits[0].step)
        if frame is None:
            return
        position = next((found for hit in hits if (found := position_of(hit, frame, state.sample)) is not None), None)
        if position is not None:
            self._inspect(position)

    def _select_suspect(self, violation: Violation) -> list[e.SessionEvent]:
        """Select the token that broke a law, and its sample; keep the selection if the law is about whole steps."""
        state = self._store.state
        frame = None if state.record is None else state.record.frame(violation.step)
        found = None if frame is None else suspect(violation, frame, state.sample)
        if found is None:
            return []
        self._inspect(found[1])
        return [e.ShowSample(found[0])] if found[0] != state.sample else []

    def _take_prediction(self, prediction: Prediction) -> None:
        """Keep a prediction, and the rank in it of the token that its step then revealed."""
        state, inspector = self._store.state, self.inspector
        inspector.prediction, inspector.pending = prediction, False
        if state.record is not None and prediction.step < state.length(state.branch):
            tokens = state.record.tokens(prediction.step + 1, prediction.sample)
            inspector.take_rank(state.branch, prediction, int(tokens[prediction.position]))

    def _inspect(self, position: int) -> None:
        """Show the history of a position, or its prediction if that is on screen."""
        self.inspector.shows_prediction = self.inspector.shows_prediction and self.inspector.at == position
        self.inspector.at = position


def _send(link: Link, stop: Breakpoint) -> None:
    """Set a breakpoint in an engine, or clear it if it is off."""
    if stop.on:
        link.stop_at(stop.number, stop.text)
    else:
        link.clear(stop.number)
