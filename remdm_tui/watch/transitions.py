"""Changes of a session's state that several parts of the reducer make.  Pure.

Every one takes a state and the list to which it adds commands, if it has any, and returns the next state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.debug.findings import Hit
from engine.records import Settings
from remdm_tui.console.sanitize import sanitize
from remdm_tui.watch import commands as c
from remdm_tui.watch import player as playing
from remdm_tui.watch.breakpoints import describe_hits
from remdm_tui.watch.notices import Notice, Progress
from remdm_tui.watch.phase import Dead, Failed, Loading, recomputing
from remdm_tui.watch.player import Player
from remdm_tui.watch.state import SessionState

Commands = list[c.Command]


def show_notice(state: SessionState, text: str, *, error: bool = True, passing: bool = False) -> SessionState:
    return replace(state, notice=Notice(text, error=error, passing=passing))


def seek(state: SessionState, position: int) -> SessionState:
    return replace(state, player=playing.seek(state.player, position))


def pause(state: SessionState, reason: str) -> SessionState:
    """Pause and say why."""
    return show_notice(seek(state, state.player.position), reason)


def catch_up(state: SessionState, ended: bool | None = None) -> SessionState:
    """Take in what has been recorded, and whether the run has ended."""
    now = state.player.ended if ended is None else ended
    if state.panes.panes:
        now = state.ended
    return replace(state, player=playing.sync_recorded(state.player, state.recorded, now))


def cancel_requests(state: SessionState, out: Commands) -> SessionState:
    """The engine has failed or is gone: what it was asked for does not come."""
    out.append(c.EndPrediction())
    return replace(state, branches=replace(state.branches, moving=False), lead=0)


def dead(state: SessionState, reason: str, said: str = "") -> SessionState:
    """The engine is gone.  said: what the person reads, if it is more than the reason."""
    return pause(replace(state, phase=Dead(reason, final=state.running is None)), said or reason)


def failed(state: SessionState, reason: str, *, loaded: bool) -> SessionState:
    """The engine cannot go on with what is on screen, if anything is."""
    return pause(replace(state, phase=Failed(reason, loaded, final=state.running is None)), reason)


def ask_for_model(state: SessionState, out: Commands, reason: str, *, loaded: bool = False) -> SessionState:
    """Have the person pick another model, of an engine process that is there."""
    return _ask(replace(state, phase=Failed(reason, loaded)), out, reason)


def ask_without_engine(state: SessionState, out: Commands, reason: str) -> SessionState:
    """The same where the process is gone."""
    return _ask(replace(state, phase=Dead(reason)), out, reason)


def _ask(state: SessionState, out: Commands, reason: str) -> SessionState:
    more = "m picks a model"
    if state.running is not None:
        more += f", R goes on with {state.running.choice.name}"
    out.append(c.AskForModel(reason))
    return pause(state, f"{reason} - {more}")


def relaunch(state: SessionState, out: Commands, patience: float = 0.5) -> SessionState:
    """Have a new engine process take the place of the old one; the record stays."""
    out.append(c.Relaunch(patience))
    return cancel_requests(state, out)


def open_model(state: SessionState, out: Commands, *, continues: bool) -> SessionState:
    """Have the engine load the model of `choice`."""
    answers = state.phase.answers + 1 if isinstance(state.phase, Loading) else 1
    if any(isinstance(command, c.Launch | c.Relaunch) for command in out):
        answers = 1
    where = state.options.where
    progress = Progress(f"reaching {where}" if where else f"loading {state.choice.name}")
    out.append(c.OpenModel(state.choice))
    return replace(state, phase=Loading(progress, continues, answers), notice=Notice())


def revive(state: SessionState, out: Commands, *, continues: bool = True) -> SessionState:
    """Start another engine process with the model of the record on screen, and continue that."""
    choice = state.choice if state.running is None else state.running.choice
    state = relaunch(replace(state, choice=choice), out)
    return open_model(state, out, continues=continues and state.running is not None)


def continue_record(state: SessionState, out: Commands) -> SessionState:
    """Have the engine compute the record on screen again and continue it."""
    if state.running is None or state.record is None:
        return state
    out.append(c.BeginRun(state.settings, state.running.run, state.record, state.branch))
    phase = recomputing(0, state.length(state.branch))
    return replace(state, arriving=state.running, phase=phase)


def stop_at_hits(state: SessionState, hits: Sequence[Hit], branch: int) -> SessionState:
    """Stand at the very frame of a branch that breakpoints were hit by."""
    if not hits:
        return state
    state = mark_uneven(seek(replace(state, lead=0), hits[0].step))
    plain, pane = state.options.ascii, state.letter(branch)
    said = describe_hits(hits, state.options.batch, plain) + (f", in pane {pane}" if pane else "")
    return show_notice(state, sanitize(said, cells=True, ascii_only=plain), error=False, passing=True)


def mark_uneven(state: SessionState) -> SessionState:
    """A pause, a breakpoint or an edit has come between the steps of two panes."""
    return replace(state, panes=replace(state.panes, loose=True))


def leave(state: SessionState) -> SessionState:
    """Remember the settings of the branch on screen for when it is shown again."""
    left = {**state.branches.left, state.branch: state.settings}
    return replace(state, branches=replace(state.branches, left=left, before=state.branch))


def record_settings(state: SessionState, branch: int, settings: Settings) -> SessionState:
    """A branch takes its first own step under these settings."""
    return replace(state, branches=replace(state.branches, left={**state.branches.left, branch: settings}))


def settings_at(changed: Sequence[tuple[int, Settings]], step: int) -> Settings | None:
    """Return the settings that decided a step."""
    return next((settings for at, settings in reversed(changed) if at <= step), None)


def set_player(state: SessionState, position: int, recorded: int, *, playing: bool, ended: bool) -> SessionState:
    """Put the view elsewhere at the speed that it has."""
    player = Player(min(position, recorded), recorded, playing, state.player.speed, ended)
    return replace(state, player=player)
