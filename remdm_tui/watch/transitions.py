"""State transitions that several parts of the reducer share.  Pure.

Each takes a state, and the list to which it appends its commands if it has any, and returns the next state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.debug.findings import Hit
from engine.records import ModelInfo, Settings
from remdm_tui.console.sanitize import sanitize
from remdm_tui.settings.watch_options import refusal_of
from remdm_tui.watch import commands as c
from remdm_tui.watch import player as playing
from remdm_tui.watch.breakpoints import describe_hits
from remdm_tui.watch.findings import Failure, Findings
from remdm_tui.watch.key_names import key
from remdm_tui.watch.notices import A_STOP, HERE, THIS_ENGINE, Fact, Notice, Progress, Severity
from remdm_tui.watch.phase import Dead, EngineFailed, LoadingModel, recomputing
from remdm_tui.watch.player import Player
from remdm_tui.watch.state import SessionState

Commands = list[c.SessionCommand]


NOT_LIVE = "No engine here. Go to the last step, or restart it"
"""Why the past cannot be changed without an engine."""


def show_notice(
    state: SessionState, text: str, severity: Severity = "failure", ends: tuple[Fact, ...] = HERE
) -> SessionState:
    """Show a line to the person until one of the facts in `ends` changes."""
    return replace(state, notice=Notice(text, severity, ends))


def hint(state: SessionState, text: str) -> SessionState:
    """Show why a key does nothing now."""
    return show_notice(state, text, "hint")


def pause_at(state: SessionState, position: int) -> SessionState:
    """Pause at a position."""
    return replace(state, player=playing.seek(state.player, position))


def pause(state: SessionState, reason: str, ends: tuple[Fact, ...] = ("run", "phase", "plays")) -> SessionState:
    """Pause and show why."""
    return show_notice(pause_at(state, state.player.position), reason, ends=ends)


def catch_up(state: SessionState, ended: bool | None = None) -> SessionState:
    """Update the player with the length of the record, and with whether the run has ended (None: as before)."""
    now = state.player.ended if ended is None else ended
    if state.panes.panes:
        now = state.ended
    return replace(state, player=playing.sync_recorded(state.player, state.recorded, now))


def end_prediction(state: SessionState, *, hide: bool = False, forget: bool = False) -> SessionState:
    """Expect no prediction; `hide`: show the history of the position instead; `forget`: drop the last one."""
    inspection = state.inspection
    ended = replace(
        inspection,
        pending=False,
        shows_prediction=inspection.shows_prediction and not hide,
        prediction=None if forget else inspection.prediction,
    )
    return replace(state, inspection=ended)


def show_failure(state: SessionState, failure: Failure | None) -> SessionState:
    """Show why a strategy failed; None closes the report."""
    return replace(state, findings=replace(state.findings, failure=failure))


def use_run(state: SessionState, out: Commands, model: ModelInfo) -> SessionState:
    """Drop what was found in the last run, and parse breakpoints with the vocabulary of the new one."""
    out.append(c.UseVocabulary(model.pieces, model.fragments))
    inspection = replace(state.inspection, prediction=None)
    return replace(state, findings=Findings(), inspection=inspection, drafts=state.drafts.forget())


def cancel_requests(state: SessionState) -> SessionState:
    """Expect no reply any more from an engine that has failed or ended."""
    branches = replace(state.branches, switching=False)
    return replace(end_prediction(state), branches=branches, drafts=state.drafts.forget(), lead=0)


def dead(state: SessionState, reason: str, message: str = "") -> SessionState:
    """Enter `Dead` and pause; show `message`, or else the reason."""
    return pause(replace(state, phase=Dead(reason, final=state.running is None)), message or reason, THIS_ENGINE)


def failed(state: SessionState, reason: str, message: str = "", *, loaded: bool) -> SessionState:
    """Enter `EngineFailed` and pause; show `message`, or else the reason.

    The engine cannot continue what is on screen, if anything is.
    """
    phase = EngineFailed(reason, loaded, final=state.running is None)
    return pause(replace(state, phase=phase), message or reason, THIS_ENGINE)


def ask_for_model(state: SessionState, reason: str, *, loaded: bool = False) -> SessionState:
    """Ask the person for another model while the engine process is alive."""
    return _ask(replace(state, phase=EngineFailed(reason, loaded)), reason)


def ask_without_engine(state: SessionState, reason: str) -> SessionState:
    """Ask the person for another model after the engine process has ended."""
    return _ask(replace(state, phase=Dead(reason)), reason)


def _ask(state: SessionState, reason: str) -> SessionState:
    reason, keys = refusal_of(reason, state.options.may_consent), f"{key('model')}: pick a model"
    if state.running is not None:
        keys += f", {key('revive')}: continue with {state.running.choice.name}"
    return pause(replace(state, needs_model=reason), f"{reason} ({keys})", THIS_ENGINE)


def relaunch(state: SessionState, out: Commands, patience: float = 0.5) -> SessionState:
    """Replace the engine process by a new one; the record stays."""
    out.append(c.Relaunch(patience))
    return cancel_requests(state)


def open_model(state: SessionState, out: Commands, *, continues: bool) -> SessionState:
    """Have the engine load the model of `choice`."""
    answers = state.phase.answers + 1 if isinstance(state.phase, LoadingModel) else 1
    if any(isinstance(command, c.Launch | c.Relaunch) for command in out):
        answers = 1
    where = state.options.where
    progress = Progress(f"connecting to {where}" if where else f"loading {state.choice.name}")
    out.append(c.OpenModel(state.choice))
    return replace(state, phase=LoadingModel(progress, continues, answers), notice=Notice())


def revive(state: SessionState, out: Commands, *, continues: bool = True) -> SessionState:
    """Start another engine process with the model of the record on screen, and continue the record."""
    choice = state.choice if state.running is None else state.running.choice
    state = relaunch(replace(state, choice=choice), out)
    return open_model(state, out, continues=continues and state.running is not None)


def continue_record(state: SessionState, out: Commands) -> SessionState:
    """Have the engine recompute the record on screen and continue it."""
    if state.running is None or state.record is None:
        return state
    out.append(c.BeginRun(state.settings, state.running.run, state.record, state.branch))
    phase = recomputing(0, state.length(state.branch))
    return replace(state, arriving=state.running, phase=phase)


def stop_at_hits(state: SessionState, out: Commands, hits: Sequence[Hit], branch: int) -> SessionState:
    """Pause at the frame of a branch that hit breakpoints, select the first token that did, and list them."""
    if not hits:
        return state
    state = mark_uneven(pause_at(replace(state, lead=0), hits[0].step))
    if branch == (state.panes.focus if state.panes.panes else state.branch):
        # positions are those of the first sample that is named
        first = next((hit for hit in hits if hit.positions), hits[0])
        if first.samples and (first.positions or state.sample not in first.samples):
            state = replace(state, sample=first.samples[0])
        out.append(c.SelectToken(tuple(hits)))
    plain = state.options.ascii
    message = describe_hits(hits, state.options.batch, plain, state.letter(branch))
    return show_notice(state, sanitize(message, cells=True, ascii_only=plain), "note", A_STOP)


def mark_uneven(state: SessionState) -> SessionState:
    """Note that a pause, a breakpoint or an edit may have come between the steps of two panes."""
    return replace(state, panes=replace(state.panes, may_be_uneven=True))


def leave(state: SessionState) -> SessionState:
    """Save the settings of the branch on screen for when it is shown again."""
    settings = {**state.branches.settings, state.branch: state.settings}
    return replace(state, branches=replace(state.branches, settings=settings, previous=state.branch))


def record_settings(state: SessionState, branch: int, settings: Settings) -> SessionState:
    """Save the settings of the first step of a new branch."""
    return replace(state, branches=replace(state.branches, settings={**state.branches.settings, branch: settings}))


def settings_at(changed: Sequence[tuple[int, Settings]], step: int) -> Settings | None:
    """Return the settings of a step; None before the first change."""
    return next((settings for at, settings in reversed(changed) if at <= step), None)


def set_player(state: SessionState, position: int, recorded: int, *, playing: bool, ended: bool) -> SessionState:
    """Move the view, at its present speed."""
    player = Player(min(position, recorded), recorded, playing, state.player.speed, ended)
    return replace(state, player=player)
