"""The part of the reducer for panes: branches side by side on one clock.  Pure.

The clock is the view's player: its position is that of every pane, and a pane that ended earlier stays at its end.  An
edit is a step of the clock: the other panes take a step of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.records import Branch, Settings
from remdm_tui.console.sanitize import sanitize
from remdm_tui.settings.watch_options import CAUSAL_STRATEGY
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch.key_names import key
from remdm_tui.watch.phase import Dead, EngineFailed, Lost, recomputing
from remdm_tui.watch.player import Demand
from remdm_tui.watch.state import MOST, Pane, PaneState, SessionState
from remdm_tui.watch.transitions import Commands, continue_record, end_prediction, leave, set_player, show_notice


def last_settings(state: SessionState, pane: Pane) -> Settings:
    """Return the settings of a pane that were last set."""
    if pane.branch == state.panes.focus:
        return state.settings
    saved, frame = state.branches.settings.get(pane.branch), pane.record.frame(state.length(pane.branch))
    return saved or (state.settings if frame is None else frame.settings)


def why_unfit(state: SessionState, settings: Settings) -> str:
    """Return why the model cannot run with these settings; empty if it can."""
    model = None if state.running is None else state.running.model
    if model is not None and model.causal and settings.strategy != CAUSAL_STRATEGY:
        return f"{model.name} is causal and only runs {CAUSAL_STRATEGY}, not {settings.strategy}"
    return ""


# -- what people do


def open_panes(state: SessionState, out: Commands) -> SessionState:
    """Show the branches side by side, at most MOST of them, around the one on screen."""
    order = state.order
    first = max(0, min(order.index(state.branch) - 1, len(order) - MOST))
    shown = tuple(Pane(branch, state.observed.records[branch]) for branch in order[first : first + MOST])
    state = replace(state, panes=replace(state.panes, panes=shown, focus=state.branch))
    if len(order) > MOST:
        text = f"Showing {MOST} of {len(order)} branches ({key('branch-next')}: next branch)"
        state = show_notice(state, text, "note")
    return set_clock(assemble(state, out))


def add_pane(state: SessionState, out: Commands, settings: Settings) -> SessionState:
    """Begin a branch at the start, in a pane."""
    return _begin(state, out, (settings,))


def close_panes(state: SessionState, out: Commands) -> SessionState:
    """Show only the branch with the focus."""
    branch, player, writable = state.panes.focus, state.player, state.observed.writable
    state = replace(state, panes=replace(state.panes, panes=(), next_settings=()))
    if state.live and writable:
        out.append(c.StepTogether(()))
        state = replace(state, branches=replace(state.branches, switching=True))
    recorded, ended = state.recorded, not writable or branch in state.branches.ended
    playing = player.playing and not (ended and player.position >= recorded)
    return set_player(state, player.position, recorded, playing=playing, ended=ended)


def focus_on(state: SessionState, out: Commands, branch: int) -> SessionState:
    """Move the focus to a pane, and the engine to its branch."""
    if branch == state.panes.focus:
        return state
    return _switch(_move(leave(state), out, branch), out)


def put_in_pane(state: SessionState, out: Commands, branch: int) -> SessionState:
    """Show a branch in the pane with the focus."""
    new = Pane(branch, state.observed.records[branch])
    panes = tuple(new if pane.branch == state.panes.focus else pane for pane in state.panes.panes)
    state = _move(replace(state, panes=replace(state.panes, panes=panes)), out, branch)
    return set_clock(assemble(state, out))


def _move(state: SessionState, out: Commands, branch: int) -> SessionState:
    """Move the focus to a pane, so that the panel shows its knobs."""
    previous, branches = state.panes.focus, state.branches
    settings = last_settings(state, state.pane(branch))
    state = end_prediction(state, hide=True, forget=True)
    if branches.against == branch:
        branches = replace(branches, against=previous if state.letter(previous) else None)
    panes, drafts = replace(state.panes, focus=branch), state.drafts.forget()
    return replace(state, panes=panes, branches=branches, settings=settings, drafts=drafts)


# -- the clock


def set_clock(state: SessionState) -> SessionState:
    """Reset the clock after the panes have changed."""
    state = replace(state, panes=replace(state.panes, levelled=(), may_be_uneven=False))
    if not state.panes.panes:
        return state
    player = state.player
    return set_player(state, player.position, state.recorded, playing=player.playing, ended=state.ended)


def demand(state: SessionState, demanded: Demand, known: int) -> tuple[SessionState, c.Request]:
    """Return the request for what the clock demands, given the number of steps recorded when it did."""
    panes = replace(state.panes, may_be_uneven=state.panes.may_be_uneven or state.player.playing)
    state = replace(state, panes=panes)
    if not panes.panes or demanded.renew:
        return state, c.Request(demanded, known)
    going, target = state.going, state.player.recorded + demanded.steps
    if not demanded.steps:
        if not state.uneven or state.observed.outstanding:
            # panes far apart on purpose must not be levelled once they come near each other
            uneven = panes.may_be_uneven and bool(going) and max(going) - min(going) < 2
            return replace(state, panes=replace(panes, may_be_uneven=uneven)), c.Request(Demand(), 0)
        target = max(going)
        state = replace(state, panes=replace(panes, levelled=going), lead=target)
    return state, c.Request(Demand(sum(max(0, target - length) for length in going)), sum(going))


# -- the engine


def assemble(state: SessionState, out: Commands) -> SessionState:
    """Have the engine step all panes; it first recomputes the recorded steps of those that it does not know."""
    state = replace(state, panes=replace(state.panes, recomputing=False))
    if not state.panes.panes:
        return state
    if state.live and state.observed.writable:
        for pane in state.panes.panes:
            known = state.observed.known
            if pane.branch in known:
                continue
            if not known:
                return continue_record(_show_focus(state), out)
            parent = next((one.branch for one in state.panes.panes if one.branch in known), min(known))
            out.append(c.RecallBranch(Branch(pane.branch, parent, 0), pane.record, last_settings(state, pane)))
            state = replace(state, observed=replace(state.observed, known=known | {pane.branch}))
            if length := state.length(pane.branch):
                return replace(state, phase=recomputing(0, length), panes=replace(state.panes, recomputing=True))
        out.append(c.StepTogether(tuple(pane.branch for pane in state.panes.panes)))
    return _switch(state, out)


def _show_focus(state: SessionState) -> SessionState:
    """Show the branch with the focus."""
    pane = state.pane(state.panes.focus)
    return replace(state, branch=pane.branch, record=pane.record)


def _switch(state: SessionState, out: Commands) -> SessionState:
    """Show the branch with the focus, and have a live engine switch to it."""
    state = _show_focus(state)
    if state.live:
        out.append(c.SwitchEngine(state.branch))
        return replace(state, branches=replace(state.branches, switching=True))
    if isinstance(state.phase, Dead | Lost | EngineFailed) and state.record is not None:
        out.append(c.PointLink(state.branch, state.record))
    return state


def keep_panes(state: SessionState) -> SessionState:
    """Save the settings of the panes for the next run."""
    panes = state.panes.panes
    if not panes:
        return state
    settings = tuple(last_settings(state, pane) for pane in panes)
    focus = next((i for i, pane in enumerate(panes) if pane.branch == state.panes.focus), 0)
    saved = replace(state.panes, next_settings=settings[1:], next_focus=focus)
    return replace(state, panes=saved, settings=settings[0])


def reset_panes(state: SessionState) -> SessionState:
    """Drop the panes of the last run, but keep what the next one needs."""
    return replace(state, panes=PaneState(next_settings=state.panes.next_settings, next_focus=state.panes.next_focus))


def begin_panes(state: SessionState, out: Commands) -> SessionState:
    """Begin the panes of the new run."""
    requested, focus = state.panes.next_settings, state.panes.next_focus
    state = replace(state, panes=replace(state.panes, next_settings=(), next_focus=0))
    problems = [why_unfit(state, settings) for settings in requested]
    for problem in filter(None, problems):
        state = show_notice(state, problem)
    fitting = [settings for settings, problem in zip(requested, problems) if not problem]
    return _begin(state, out, fitting, focus) if fitting else state


def _begin(state: SessionState, out: Commands, several: Sequence[Settings], focus: int | None = None) -> SessionState:
    """Begin branches at the start, each in a pane; then focus pane number `focus` (None: the current one)."""
    panes, branch = state.panes, state.branch
    if not panes.panes and state.record is not None:
        panes = replace(panes, panes=(Pane(branch, state.record),), focus=branch)
    index = next((i for i, pane in enumerate(panes.panes) if pane.branch == panes.focus), 0)
    panes = replace(panes, pending=panes.pending + len(several), next_focus=index if focus is None else focus)
    out.extend(c.ForkRecording(branch, 0, settings, pane=True) for settings in several)
    return replace(state, panes=panes)


def pane_added(state: SessionState, out: Commands, event: e.Forked) -> SessionState:
    """Add a pane for a branch that the recording has made."""
    panes, pane = state.panes, Pane(event.branch.id, event.record)
    panes = replace(panes, panes=(*panes.panes, pane), unanswered=(*panes.unanswered, pane.branch))
    return _one_less_pending(replace(state, panes=panes), out)


def pane_not_added(state: SessionState, out: Commands) -> SessionState:
    """Give up a pane whose branch the recording could not make."""
    return _one_less_pending(state, out)


def _one_less_pending(state: SessionState, out: Commands) -> SessionState:
    """Count a pending pane as done; after the last one, start all panes and set the focus."""
    state = replace(state, panes=replace(state.panes, pending=max(0, state.panes.pending - 1)))
    if state.panes.pending:
        return state
    state = _gather(state, out)
    focus = state.panes.next_focus
    if focus < len(state.panes.panes):
        state = focus_on(state, out, state.panes.panes[focus].branch)
    return replace(state, panes=replace(state.panes, next_focus=0))


def _gather(state: SessionState, out: Commands) -> SessionState:
    """Step the panes together; close a single one."""
    if len(state.panes.panes) > 1:
        return set_clock(assemble(state, out))
    return close_panes(_switch(state, out), out) if state.panes.panes else state


def pane_refused(state: SessionState, out: Commands, reason: str) -> SessionState:
    """Remove a pane whose branch the engine refused to begin."""
    branch, panes = state.panes.unanswered[0], state.panes
    others = tuple(pane for pane in panes.panes if pane.branch != branch)
    state = replace(state, panes=replace(panes, unanswered=panes.unanswered[1:]))
    if others and len(others) < len(panes.panes):
        if branch == panes.focus:
            state = _move(state, out, others[0].branch)
        state = _gather(replace(state, panes=replace(state.panes, panes=others)), out)
    return show_notice(state, sanitize(reason, cells=True))
