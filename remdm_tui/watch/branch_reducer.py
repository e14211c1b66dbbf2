"""How branches begin and are shown, as a part of the reducer.  Pure."""

from __future__ import annotations

from dataclasses import replace

from engine.records import Edit, Settings
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch import pane_reducer as panes
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.phase import Dead, Failed, Lost
from remdm_tui.watch.state import SessionState
from remdm_tui.watch.transitions import (
    Commands,
    catch_up,
    continue_record,
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
    """Begin a branch at the position on screen, with the settings there unless others are given; `edit` follows."""
    if settings is None and state.record is not None:
        settings = settings_at(state.record.settings(), state.position)
    out.append(c.ForkRecording(state.branch, state.position, settings or state.settings, edit))
    return state


def branch_forked(state: SessionState, out: Commands, event: e.Forked) -> SessionState:
    """Go to a branch that the recording has now."""
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
        state = _arrive(state, branch.at, ended=False, playing=state.player.playing)
    return state if command.edit is None else _edit(state, out, command.edit)


def edit_canvas(state: SessionState, out: Commands, edit: Edit) -> SessionState:
    """Change the canvas by hand, in the past on a branch that begins there."""
    state = catch_up(state)
    if state.observed.writable and state.past:
        return branch_off(state, out, edit=edit)
    return _edit(state, out, edit)


def _edit(state: SessionState, out: Commands, edit: Edit) -> SessionState:
    out.append(c.SendEdit(edit))
    if not state.observed.writable:
        return state
    return mark_uneven(replace(state, lead=state.length(state.branch) + 1))


def fork_failed(state: SessionState, out: Commands, event: e.ForkFailed) -> SessionState:
    if event.command.pane:
        state = panes.pane_not_added(state, out)
    return show_notice(state, f"no branch could be begun: {event.reason}")


def go_to(state: SessionState, out: Commands, branch: int) -> SessionState:
    """Show a branch, at the position on screen or its end, and have the engine stand there."""
    record, length = state.observed.records[branch], state.length(branch)
    state = replace(leave(state), branch=branch, record=record)
    settings = state.branches.left.get(branch)
    if settings is None and length:
        settings = settings_at(record.settings(), length - 1)
    state = _stand(state, out)
    state = replace(state, settings=settings or state.settings)
    return _arrive(state, state.player.position, ended=branch in state.branches.ended, playing=False)


def _stand(state: SessionState, out: Commands) -> SessionState:
    """Have the engine, if there is one, stand in the branch on screen."""
    if state.live and state.branch not in state.observed.known:
        # another engine, which knows the branch before alone
        state = continue_record(state, out)
    elif state.live:
        out.append(c.SwitchEngine(state.branch))
    elif isinstance(state.phase, Dead | Lost | Failed) and state.record is not None:
        out.append(c.PointLink(state.branch, state.record))
    return state


def branch_refused(state: SessionState, out: Commands) -> SessionState:
    """The engine does not know the branch: have it begin with its record."""
    return continue_record(replace(state, branches=replace(state.branches, moving=False)), out)


def follow(state: SessionState, out: Commands) -> SessionState:
    """The engine stands in another branch than the view after what was computed again: have it follow."""
    if state.observed.branch == state.branch:
        return state
    state = _stand(state, out)
    return replace(state, branches=replace(state.branches, moving=state.live))


def _arrive(state: SessionState, position: int, *, ended: bool, playing: bool) -> SessionState:
    branches = state.branches
    against = branches.before if branches.against == state.branch else branches.against
    state = replace(state, branches=replace(branches, moving=state.live, against=against))
    return set_player(state, position, state.length(state.branch), playing=playing, ended=ended)


def turn_knob(state: SessionState, out: Commands, settings: Settings) -> SessionState:
    """Use settings from the next step that the engine takes, in the past on a branch that begins there."""
    state = replace(state, notice=Notice())
    if state.live and state.observed.writable and state.past:
        return branch_off(state, out, settings)
    out.append(c.SendSettings(settings))
    return replace(state, settings=settings)
