"""The debugger's part of the reducer: the selected token, drafts, findings, breakpoints.  Pure."""

from __future__ import annotations

from dataclasses import replace

from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch.drafts import Place
from remdm_tui.watch.notices import A_LAW, Notice
from remdm_tui.watch.state import SessionState
from remdm_tui.watch.transitions import Commands, show_failure


def debug_action(state: SessionState, out: Commands, event: e.DebugAction) -> SessionState:
    """Handle an action on the selected token, the drafts, the search, or the breakpoints."""
    inspection, breakpoints = state.inspection, state.breakpoints
    match event:
        case e.Select(position):
            return replace(state, inspection=inspection.select(position))
        case e.Search(text):
            return replace(state, inspection=replace(inspection, searching=text))
        case e.TogglePrediction():
            return _toggle_prediction(state, out)
        case e.WantDrafts(overlay, entropy):
            return _request_drafts(replace(state, drafts=replace(state.drafts, overlay=overlay, entropy=entropy)), out)
        case e.CloseFailure():
            return show_failure(state, None)
        case e.NewBreakpoint(text):
            breakpoints = breakpoints.add(text)
            out.append(c.SetBreakpoint(breakpoints.listed[-1]))
        case e.ToggleBreakpoint(number):
            breakpoints = breakpoints.toggle(number)
            out += [c.SetBreakpoint(stop) for stop in breakpoints.listed if stop.number == number]
        case e.RemoveBreakpoint(number):
            breakpoints = breakpoints.remove(number)
            out.append(c.ClearBreakpoint(number))
    return replace(state, breakpoints=breakpoints)


def _toggle_prediction(state: SessionState, out: Commands) -> SessionState:
    """Request a prediction of the selected token at the step on screen, unless it is shown already."""
    inspection = state.inspection
    if inspection.at is None:
        return state
    if inspection.shows(state.sample, state.position):
        return replace(state, inspection=replace(inspection, shows_prediction=False))
    out.append(c.RequestPrediction(state.sample, inspection.at, state.position))
    return replace(state, inspection=replace(inspection, shows_prediction=True, pending=True))


def draft_place(state: SessionState) -> Place | None:
    """Return what drafts are asked for: the step on screen; None without a record and in a comparison."""
    if state.record is None or state.panes.panes:
        return None
    return state.record, state.branch, state.sample, state.position


def _request_drafts(state: SessionState, out: Commands) -> SessionState:
    """Request the drafts of the step on screen if they are wanted, but not while the run plays: it would be gone."""
    place = draft_place(state)
    plays = state.player.playing and not state.player.done
    if place is None or plays or not state.live or state.read_only or not state.drafts.due(place):
        return state
    out.append(c.RequestDrafts(state.sample, state.position))
    return replace(state, drafts=state.drafts.request(place))


def dismiss(state: SessionState) -> SessionState:
    """Close the notice on screen, or what was found at its step."""
    findings = state.findings
    if not state.notice.text:
        findings = findings.dismiss(state.branch, state.position)
    elif state.notice.ends == A_LAW:
        findings = findings.dismiss_all()
    return replace(state, findings=findings, notice=Notice(), covered=None)
