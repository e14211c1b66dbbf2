"""Branches side by side on one clock: how they begin, come and go, as a part of the reducer.  Pure.

The clock is the view's player: its position is that of every pane, and a pane that has ended before stands at its
end.  An edit is a step of the clock: the other panes take theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.records import Branch, Settings
from remdm_tui.console.sanitize import sanitize
from remdm_tui.settings.watch_options import CAUSAL_STRATEGY
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch.phase import Dead, Failed, Lost, recomputing
from remdm_tui.watch.player import Demand
from remdm_tui.watch.state import MOST, Pane, PaneState, SessionState
from remdm_tui.watch.transitions import Commands, continue_record, leave, set_player, show_notice


def settings_of(state: SessionState, pane: Pane) -> Settings:
    """Return the settings of a pane that were set last."""
    if pane.branch == state.panes.focus:
        return state.settings
    left, last = state.branches.left.get(pane.branch), pane.record.frame(state.length(pane.branch))
    return left or (state.settings if last is None else last.settings)


def why_unfit(state: SessionState, settings: Settings) -> str:
    """Return why the model cannot be run by these settings; empty if it can."""
    model = None if state.running is None else state.running.model
    if model is not None and model.causal and settings.strategy != CAUSAL_STRATEGY:
        return f"{model.name} predicts from the left alone: {settings.strategy} has no pane, {CAUSAL_STRATEGY} can"
    return ""


# -- what people do


def open_panes(state: SessionState, out: Commands) -> SessionState:
    """Put the branches side by side, those around the one on screen if they are too many."""
    order = state.order
    first = max(0, min(order.index(state.branch) - 1, len(order) - MOST))
    shown = tuple(Pane(branch, state.observed.records[branch]) for branch in order[first : first + MOST])
    state = replace(state, panes=replace(state.panes, panes=shown, focus=state.branch))
    if len(order) > MOST:
        text = f"{MOST} of {len(order)} branches are shown: z puts another in the pane"
        state = show_notice(state, text, error=False, passing=True)
    return set_clock(assemble(state, out))


def add_pane(state: SessionState, out: Commands, settings: Settings) -> SessionState:
    """Begin another branch at the start, in a pane."""
    return _begin(state, out, (settings,))


def close_panes(state: SessionState, out: Commands) -> SessionState:
    """Show the branch that has the focus alone."""
    branch, player, writable = state.panes.focus, state.player, state.observed.writable
    state = replace(state, panes=replace(state.panes, panes=(), wanted=()))
    if state.live and writable:
        out.append(c.StepTogether(()))
        state = replace(state, branches=replace(state.branches, moving=True))
    recorded, ended = state.recorded, not writable or branch in state.branches.ended
    playing = player.playing and not (ended and player.position >= recorded)
    return set_player(state, player.position, recorded, playing=playing, ended=ended)


def focus_on(state: SessionState, out: Commands, branch: int) -> SessionState:
    """Give the focus to a pane."""
    if branch == state.panes.focus:
        return state
    return _stand(_move(leave(state), out, branch), out)


def put_in_pane(state: SessionState, out: Commands, branch: int) -> SessionState:
    """Show a branch in place of the one that has the focus."""
    new = Pane(branch, state.observed.records[branch])
    panes = tuple(new if pane.branch == state.panes.focus else pane for pane in state.panes.panes)
    state = _move(replace(state, panes=replace(state.panes, panes=panes)), out, branch)
    return set_clock(assemble(state, out))


def _move(state: SessionState, out: Commands, branch: int) -> SessionState:
    """Give the focus to a pane, whose knobs are then those on the panel."""
    before, branches = state.panes.focus, state.branches
    settings = settings_of(state, state.pane(branch))
    out.append(c.EndPrediction(hide=True, forget=True))
    if branches.against == branch:
        branches = replace(branches, against=before if state.letter(before) else None)
    return replace(state, panes=replace(state.panes, focus=branch), branches=branches, settings=settings)


# -- the clock


def set_clock(state: SessionState) -> SessionState:
    """The panes are others than before."""
    state = replace(state, panes=replace(state.panes, levelled=(), loose=False))
    if not state.panes.panes:
        return state
    player = state.player
    return set_player(state, player.position, state.recorded, playing=player.playing, ended=state.ended)


def demand(state: SessionState, wanted: Demand, known: int) -> tuple[SessionState, c.Request]:
    """Return what to request for what the clock wants, when so many steps were known to be recorded."""
    panes = replace(state.panes, loose=state.panes.loose or state.player.playing)
    state = replace(state, panes=panes)
    if not panes.panes or wanted.renew:
        return state, c.Request(wanted, known)
    going, target = state.going, state.player.recorded + wanted.steps
    if not wanted.steps:
        if not state.uneven or state.observed.outstanding:
            # so that of panes that are far apart none is sent on when it comes near
            loose = panes.loose and bool(going) and max(going) - min(going) < 2
            return replace(state, panes=replace(panes, loose=loose)), c.Request(Demand(), 0)
        target = max(going)
        state = replace(state, panes=replace(panes, levelled=going), lead=target)
    return state, c.Request(Demand(sum(max(0, target - come) for come in going)), sum(going))


# -- the engine


def assemble(state: SessionState, out: Commands) -> SessionState:
    """Have the engine step all panes; it first computes the recorded steps of those again that it does not know."""
    state = replace(state, panes=replace(state.panes, again=False))
    if not state.panes.panes:
        return state
    if state.live and state.observed.writable:
        for pane in state.panes.panes:
            known = state.observed.known
            if pane.branch in known:
                continue
            if not known:
                return continue_record(_shown(state), out)
            parent = next((one.branch for one in state.panes.panes if one.branch in known), min(known))
            out.append(c.RecallBranch(Branch(pane.branch, parent, 0), pane.record, settings_of(state, pane)))
            state = replace(state, observed=replace(state.observed, known=known | {pane.branch}))
            if length := state.length(pane.branch):
                return replace(state, phase=recomputing(0, length), panes=replace(state.panes, again=True))
        out.append(c.StepTogether(tuple(pane.branch for pane in state.panes.panes)))
    return _stand(state, out)


def _shown(state: SessionState) -> SessionState:
    """The branch that has the focus is the one on screen."""
    pane = state.pane(state.panes.focus)
    return replace(state, branch=pane.branch, record=pane.record)


def _stand(state: SessionState, out: Commands) -> SessionState:
    """Stand in the branch that has the focus, and the engine with the view if it is there."""
    state = _shown(state)
    if state.live:
        out.append(c.SwitchEngine(state.branch))
        return replace(state, branches=replace(state.branches, moving=True))
    if isinstance(state.phase, Dead | Lost | Failed) and state.record is not None:
        out.append(c.PointLink(state.branch, state.record))
    return state


def keep_panes(state: SessionState) -> SessionState:
    """Another run is to begin, with the same panes."""
    panes = state.panes.panes
    if not panes:
        return state
    settings = tuple(settings_of(state, pane) for pane in panes)
    at = next((i for i, pane in enumerate(panes) if pane.branch == state.panes.focus), 0)
    return replace(state, panes=replace(state.panes, wanted=settings[1:], at=at), settings=settings[0])


def reset_panes(state: SessionState) -> SessionState:
    """A run has begun that does not continue a record."""
    return replace(state, panes=PaneState(wanted=state.panes.wanted, at=state.panes.at))


def begin_panes(state: SessionState, out: Commands) -> SessionState:
    """Begin the panes that the new run is to have."""
    wanted, at = state.panes.wanted, state.panes.at
    state = replace(state, panes=replace(state.panes, wanted=(), at=0))
    complaints = [why_unfit(state, settings) for settings in wanted]
    for complaint in filter(None, complaints):
        state = show_notice(state, complaint)
    fitting = [settings for settings, complaint in zip(wanted, complaints) if not complaint]
    return _begin(state, out, fitting, at) if fitting else state


def _begin(state: SessionState, out: Commands, several: Sequence[Settings], at: int | None = None) -> SessionState:
    """Begin branches at the start, each in a pane; at: which pane has the focus then, None: the one that has it."""
    panes, here = state.panes, state.branch
    if not panes.panes and state.record is not None:
        panes = replace(panes, panes=(Pane(here, state.record),), focus=here)
    index = next((i for i, pane in enumerate(panes.panes) if pane.branch == panes.focus), 0)
    panes = replace(panes, pending=panes.pending + len(several), at=index if at is None else at)
    out.extend(c.ForkRecording(here, 0, settings, pane=True) for settings in several)
    return replace(state, panes=panes)


def pane_added(state: SessionState, out: Commands, event: e.Forked) -> SessionState:
    """The recording has the branch of a pane."""
    panes, pane = state.panes, Pane(event.branch.id, event.record)
    panes = replace(panes, panes=(*panes.panes, pane), unanswered=(*panes.unanswered, pane.branch))
    return _settled(replace(state, panes=panes), out)


def pane_not_added(state: SessionState, out: Commands) -> SessionState:
    """The recording cannot have the branch of a pane."""
    return _settled(state, out)


def _settled(state: SessionState, out: Commands) -> SessionState:
    state = replace(state, panes=replace(state.panes, pending=max(0, state.panes.pending - 1)))
    if state.panes.pending:
        return state
    state = _gather(state, out)
    at = state.panes.at
    if at < len(state.panes.panes):
        state = focus_on(state, out, state.panes.panes[at].branch)
    return replace(state, panes=replace(state.panes, at=0))


def _gather(state: SessionState, out: Commands) -> SessionState:
    """Step the panes that there are; one alone is none."""
    if len(state.panes.panes) > 1:
        return set_clock(assemble(state, out))
    return close_panes(_stand(state, out), out) if state.panes.panes else state


def pane_refused(state: SessionState, out: Commands, reason: str) -> SessionState:
    """The engine has refused to begin the branch of a pane."""
    branch, panes = state.panes.unanswered[0], state.panes
    left = tuple(pane for pane in panes.panes if pane.branch != branch)
    state = replace(state, panes=replace(panes, unanswered=panes.unanswered[1:]))
    if left and len(left) < len(panes.panes):
        if branch == panes.focus:
            state = _move(state, out, left[0].branch)
        state = _gather(replace(state, panes=replace(state.panes, panes=left)), out)
    return show_notice(state, sanitize(reason, cells=True))
