"""How long a notice is shown: until a fact that it depends on changes.  Pure."""

from __future__ import annotations

from dataclasses import replace

from remdm_tui.watch.notices import Fact, Notice
from remdm_tui.watch.state import SessionState, Shown


def fact(state: SessionState, name: Fact) -> object:
    """Return a fact about what is on screen, to compare with a later one."""
    match name:
        case "run":
            return state.runs
        case "branch":
            return state.branch
        case "panes":
            return tuple(pane.branch for pane in state.panes.panes)
        case "phase":
            return type(state.phase)
        case "place":
            return "playing" if state.player.playing else state.player.position
        case "plays":
            return state.player.playing
        case "moves":
            return state.moves
        case "selection":
            return state.inspection.at
        case "settings":
            return state.settings


def renew(before: SessionState, state: SessionState) -> SessionState:
    """Return the state after an event with its notices: a new one is shown, one that no longer holds ends.

    before: the state before the event.
    """
    if state.notice is not before.notice:
        covers = bool(state.notice.text) and not state.notice.error and before.notice.error
        covered = before.shown if covers else state.covered
        state = replace(state, shown=_shown(state, state.notice), covered=covered)
    if state.shown is not None and not _holds(state, state.shown):
        state = replace(state, notice=Notice(), shown=None)
    if state.covered is not None and not _holds(state, state.covered):
        state = replace(state, covered=None)
    if state.shown is None and state.covered is not None:
        state = replace(state, notice=state.covered.notice, shown=state.covered, covered=None)
    return state


def _shown(state: SessionState, notice: Notice) -> Shown | None:
    return Shown(notice, tuple(fact(state, name) for name in notice.ends)) if notice.text else None


def _holds(state: SessionState, shown: Shown) -> bool:
    return all(fact(state, name) == then for name, then in zip(shown.notice.ends, shown.facts, strict=True))
