"""The debugger of a session: breakpoints, findings, the inspected token, branches and panes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from engine.debug.findings import Hit, Story, TokenPrediction, Violation
from engine.records import Edit
from remdm_tui.link.base import Link
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch.branches import BranchSet
from remdm_tui.watch.breakpoints import Breakpoint, Breakpoints, Conditions, position_of
from remdm_tui.watch.debug_reducer import draft_place
from remdm_tui.watch.drafts import DraftRequests, Place
from remdm_tui.watch.findings import Findings, suspect
from remdm_tui.watch.inspector import Inspection, RankKey, RankReader, StoryReader
from remdm_tui.watch.key_names import key
from remdm_tui.watch.panes import PaneGroup, first_hits
from remdm_tui.watch.solution import SolutionMarks
from remdm_tui.watch.store import Store

MOST_RANKS = 200
"""Tokens of a prediction in which a revealed one is looked for."""
EditKind = Literal["mask", "force", "lock", "unlock", "prompt"]


class Debugger:
    """Reads and changes the debugger's part of the state, over all runs, models and engines of the session."""

    def __init__(self, store: Store, link: Callable[[], Link]) -> None:
        """link: returns the present link."""
        self._store, self._link = store, link
        self._conditions, self._reader, self._ranks = Conditions(), StoryReader(), RankReader()
        self.solution = SolutionMarks()
        self.panes = PaneGroup(store)
        self.branches = BranchSet(store, self.panes)

    @property
    def breakpoints(self) -> Breakpoints:
        """The breakpoints, on and off."""
        return self._store.state.breakpoints

    @property
    def findings(self) -> Findings:
        """What was found in the run on screen."""
        return self._store.state.findings

    @property
    def inspector(self) -> Inspection:
        """The selected position and what is shown of it."""
        return self._store.state.inspection

    @property
    def drafts(self) -> DraftRequests:
        """The drafts of the step on screen, and who wants them."""
        return self._store.state.drafts

    @property
    def waiting(self) -> bool:
        """Whether an answer is on its way."""
        state = self._store.state
        awaits = self._reader.waiting or state.inspection.pending or self.drafts.pending
        return awaits or state.branches.switching or bool(state.lead)

    def restore(self, link: Link) -> None:
        """Give a new engine the strategy file and the breakpoints."""
        if self._store.state.options.strategy_file:
            link.use_file(self._store.state.options.strategy_file)
        for stop in self.breakpoints.listed:
            _send(link, stop)

    # -- actions

    def add_breakpoint(self, text: str) -> None:
        """Add a breakpoint.  Raises ValueError for a text that is not a condition."""
        self._store.dispatch(e.NewBreakpoint(self._conditions.checked(text)))

    def toggle_breakpoint(self, number: int) -> None:
        """Switch a breakpoint on or off."""
        self._store.dispatch(e.ToggleBreakpoint(number))

    def remove_breakpoint(self, number: int) -> None:
        """Remove a breakpoint."""
        self._store.dispatch(e.RemoveBreakpoint(number))

    def search(self, text: str) -> None:
        """Mark the occurrences of a text; empty: no more."""
        self._store.dispatch(e.Search(text))

    def toggle_prediction(self) -> None:
        """Show the model's prediction of the selected token, or its history again."""
        self._store.dispatch(e.TogglePrediction())

    def toggle_drafts(self) -> None:
        """Show the model's drafts at the masked positions, or the masks again."""
        self._store.dispatch(e.WantDrafts(not self.drafts.overlay, self.drafts.entropy))

    def colour_by_entropy(self, on: bool) -> None:
        """Have the entropy of the model's predictions requested for each step, or not any more."""
        self._store.dispatch(e.WantDrafts(self.drafts.overlay, on))

    def close_failure(self) -> None:
        """Close the report of a failed strategy."""
        self._store.dispatch(e.CloseFailure())

    def alter(self, kind: EditKind, position: int, tokens: tuple[int, ...] = (), held: float = 1.0) -> None:
        """Edit the sample on screen at the present step; in the past, on a new branch.

        Raises ValueError while the run plays or if no engine is live.
        """
        state = self._store.state
        if state.running is None or not state.live:
            raise ValueError(f"Editing needs a live engine ({key('revive')}: start one)")
        if state.player.playing:
            raise ValueError(f"Pause ({key('play')}) to edit")
        self._store.dispatch(e.EditCanvas(Edit(kind, state.sample, position, tokens, held)))

    def story(self, wait: float = 0.0) -> Story | None:
        """Return the history of the inspected token, waiting up to `wait` seconds; None if it is not read yet."""
        state = self._store.state
        if state.record is None or state.running is None or state.inspection.at is None:
            return None
        return self._reader.story(
            state.record, state.sample, state.inspection.at,
            first=state.running.run.first, playing=state.player.playing, wait=wait,
        )  # fmt: skip

    @property
    def ranks(self) -> Mapping[RankKey, str]:
        """Where in the model's predictions revealed tokens stood, in words."""
        return self._ranks.ranks

    @property
    def shows_prediction_of_step(self) -> bool:
        """Whether the prediction of the selected token at the step on screen is shown."""
        state = self._store.state
        return state.inspection.shows(state.sample, state.position)

    @property
    def has_story(self) -> bool:
        """Whether a history has been read."""
        return self._reader.has_story

    def next_change(self, by: int) -> int | None:
        """Return the next (by 1) or previous (by -1) step that changed the inspected token; None after the last."""
        return self._reader.turn(self._store.state.position, by)

    def explain(self, seconds: float) -> None:
        """Ask the model for the rank of the selected token, if the step on screen revealed it and the run is paused."""
        state = self._store.state
        if not state.live or state.read_only or state.player.playing or state.player.stepping:
            return
        at, shows = state.inspection.at, state.inspection.shows_prediction
        revealed = at is not None and not shows and self._reader.revealed_by_chance(state.position)
        key = (state.branch, state.sample, at, state.position) if revealed and at is not None else None
        if self._ranks.wants(key, seconds) and at is not None:
            self._link().look(state.sample, at, state.position - 1, MOST_RANKS)

    @property
    def place(self) -> Place | None:
        """What drafts are asked for: the step on screen; None without a record and in a comparison."""
        return draft_place(self._store.state)

    def request_drafts(self) -> None:
        """Request the drafts of the step on screen, if they are still wanted and none are on their way."""
        if self.place is not None and self.drafts.due(self.place):
            self._store.dispatch(e.WantDrafts(self.drafts.overlay, self.drafts.entropy))

    # -- commands

    def execute(self, command: c.ToDebugger) -> list[e.SessionEvent]:
        """Execute a command; return its outcomes."""
        match command:
            case c.UseVocabulary(pieces, fragments):
                self._reader.clear()
                self._ranks.clear()
                self._conditions.use_pieces(pieces, fragments)
            case c.SetBreakpoint(stop):
                _send(self._link(), stop)
            case c.ClearBreakpoint(number):
                self._link().clear(number)
            case c.CheckBreakpoints(start):
                hits, branch = first_hits(self._store.state, self._conditions, start)
                return [e.BreakpointsHit(hits, branch)] if hits else []
            case c.SelectToken(hits):
                return self._select(hits)
            case c.SelectSuspect(violation):
                return self._select_suspect(violation)
            case c.FindRank(prediction):
                self._find_rank(prediction)
        return []

    def _select(self, hits: Sequence[Hit]) -> list[e.SessionEvent]:
        """Select the position for which breakpoints stopped; keep the selection if they name none."""
        state = self._store.state
        frame = None if state.record is None else state.record.frame(hits[0].step)
        if frame is None:
            return []
        position = next((found for hit in hits if (found := position_of(hit, frame, state.sample)) is not None), None)
        return [] if position is None else [e.Select(position)]

    def _select_suspect(self, violation: Violation) -> list[e.SessionEvent]:
        """Select the token that broke a law, and its sample; keep the selection if the law is about whole steps."""
        state = self._store.state
        frame = None if state.record is None else state.record.frame(violation.step)
        found = None if frame is None else suspect(violation, frame, state.sample)
        if found is None:
            return []
        other: list[e.SessionEvent] = [e.ShowSample(found[0])] if found[0] != state.sample else []
        return [*other, e.Select(found[1])]

    def _find_rank(self, prediction: TokenPrediction) -> None:
        """Keep the rank in a prediction of the token that its step then revealed."""
        state = self._store.state
        if state.record is not None and prediction.step < state.length(state.branch):
            tokens = state.record.tokens(prediction.step + 1, prediction.sample)
            self._ranks.take(state.branch, prediction, int(tokens[prediction.position]))


def _send(link: Link, stop: Breakpoint) -> None:
    """Set a breakpoint in an engine, or clear it if it is off."""
    if stop.on:
        link.stop_at(stop.number, stop.text)
    else:
        link.clear(stop.number)
