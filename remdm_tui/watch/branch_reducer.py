"""The part of the reducer for branches: how they begin and are shown.  Pure."""

from __future__ import annotations

from dataclasses import replace

from engine.records import Edit, Settings
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch import pane_reducer as panes
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.phase import Dead, EngineFailed, Lost
from remdm_tui.watch.state import SessionState
from remdm_tui.watch.transitions import (
    NOT_LIVE,
    Commands,
    catch_up,
    continue_record,
    hint,
    leave,
    mark_uneven,
    record_settings,
    set_player,
    settings_at,
    show_notice,
)


def branch_off(
    state: SessionState, out: Commands, settings: Settings | None = None, edit: Edit | None = None
) -> SessionState:
    """Begin a branch at the position on screen, with `settings` (None: those in force there), then make `edit`."""
    if settings is None and state.record is not None:
        settings = settings_at(state.record.settings(), state.position)
    out.append(c.ForkRecording(state.branch, state.position, settings or state.settings, edit))
    return state


def branch_forked(state: SessionState, out: Commands, event: e.Forked) -> SessionState:
    """Show a branch that the recording has made."""
    command, branch = event.command, event.branch
    observed = replace(state.observed, known=state.observed.known | {branch.id})
    state = leave(replace(state, observed=observed))
    out.append(c.ForkEngine(branch, event.record, command.settings))
    state = record_settings(state, branch.id, command.settings)
    if command.pane:
        return panes.pane_added(state, out, event)
    if state.panes.panes:
        state = panes.put_in_pane(state, out, branch.id)
    else:
        state = replace(state, branch=branch.id, record=event.record, settings=command.settings)
        state = _set_view(state, branch.at, ended=False, playing=state.player.playing)
    return state if command.edit is None else _edit(state, out, command.edit)


def edit_canvas(state: SessionState, out: Commands, edit: Edit) -> SessionState:
    """Change the canvas by hand; in the past, on a new branch that begins there."""
    state = catch_up(state)
    if state.observed.writable and state.past:
        return branch_off(state, out, edit=edit)
    return _edit(state, out, edit)


def _edit(state: SessionState, out: Commands, edit: Edit) -> SessionState:
    """Send an edit, and show its frame when it has come."""
    out.append(c.SendEdit(edit))
    if not state.observed.writable:
        return state
    return mark_uneven(replace(state, lead=state.length(state.branch) + 1))


def fork_failed(state: SessionState, out: Commands, event: e.ForkFailed) -> SessionState:
    """Show why the recording could not make a branch."""
    if event.command.pane:
        state = panes.pane_not_added(state, out)
    return show_notice(state, f"Cannot start a branch: {event.reason}")


def go_to(state: SessionState, out: Commands, branch: int) -> SessionState:
    """Show a branch, at the position on screen or its end, and have the engine switch to it."""
    record, length = state.observed.records[branch], state.length(branch)
    state = replace(leave(state), branch=branch, record=record)
    settings = state.branches.settings.get(branch)
    if settings is None and length:
        settings = settings_at(record.settings(), length - 1)
    state = _switch(state, out)
    state = replace(state, settings=settings or state.settings)
    return _set_view(state, state.player.position, ended=branch in state.branches.ended, playing=False)


def _switch(state: SessionState, out: Commands) -> SessionState:
    """Have a live engine switch to the branch on screen."""
    if state.live and state.branch not in state.observed.known:
        # another engine, which only knows the previous branch
        state = continue_record(state, out)
    elif state.live:
        out.append(c.SwitchEngine(state.branch))
    elif isinstance(state.phase, Dead | Lost | EngineFailed) and state.record is not None:
        out.append(c.PointLink(state.branch, state.record))
    return state


def branch_refused(state: SessionState, out: Commands) -> SessionState:
    """Have an engine that does not know the branch begin with its record."""
    return continue_record(replace(state, branches=replace(state.branches, switching=False)), out)


def follow(state: SessionState, out: Commands) -> SessionState:
    """Have the engine switch to the branch on screen if it recomputed another."""
    if state.observed.branch == state.branch:
        return state
    state = _switch(state, out)
    return replace(state, branches=replace(state.branches, switching=state.live))


def _set_view(state: SessionState, position: int, *, ended: bool, playing: bool) -> SessionState:
    """Move the view within a branch that has just come on screen."""
    branches = state.branches
    against = branches.previous if branches.against == state.branch else branches.against
    state = replace(state, branches=replace(branches, switching=state.live, against=against))
    return set_player(state, position, state.length(state.branch), playing=playing, ended=ended)


def turn_knob(state: SessionState, out: Commands, settings: Settings) -> SessionState:
    """Use settings from the engine's next step on; in the past, on a new branch that begins there."""
    if not state.notice.error:
        state = replace(state, notice=Notice())
    if state.past and state.running is not None:
        # without an engine the recorded steps, and so what is on screen, stay
        return branch_off(state, out, settings) if state.live else hint(state, NOT_LIVE)
    out.append(c.SendSettings(settings))
    return replace(state, settings=settings)
