"""`reduce`: the one function that changes the state of a watch session.  Pure.

A phase ignores events that mean nothing in it, such as late ones of a closed link.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from remdm_tui.console.sanitize import sanitize
from remdm_tui.link import base
from remdm_tui.link.replay import READ_ONLY
from remdm_tui.settings.knobs import turned
from remdm_tui.watch import branch_reducer as branches
from remdm_tui.watch import commands as c
from remdm_tui.watch import debug_reducer as debugger
from remdm_tui.watch import events as e
from remdm_tui.watch import pane_reducer as panes
from remdm_tui.watch import player as playing
from remdm_tui.watch import reconnect
from remdm_tui.watch.engine_reducer import begin_run, engine_sent, put_on_screen
from remdm_tui.watch.key_names import key
from remdm_tui.watch.lifetime import renew
from remdm_tui.watch.notices import THIS_ENGINE, THIS_RUN, Progress
from remdm_tui.watch.phase import Dead, LoadingModel, Lost, Recomputing, Starting
from remdm_tui.watch.player import Player
from remdm_tui.watch.state import Running, SessionState
from remdm_tui.watch.transitions import (
    Commands,
    ask_for_model,
    catch_up,
    continue_record,
    dead,
    failed,
    hint,
    leave,
    open_model,
    pause,
    pause_at,
    relaunch,
    revive,
    show_notice,
    stop_at_hits,
    use_run,
)  # fmt: skip

LEAVES_FOR_GOOD = "This run is in no file, so a new run loses it. Press the key again to continue"
"""The question before a run is left that cannot be kept."""
ENGINE_EVENTS, OUTCOMES = get_args(base.LinkEvent), get_args(e.Outcome)


def reduce(state: SessionState, event: e.SessionEvent) -> tuple[SessionState, tuple[c.SessionCommand, ...]]:
    """Return the state after an event, and the commands to execute."""
    out: Commands = []
    before = state
    if isinstance(event, ENGINE_EVENTS):
        state = engine_sent(state, out, event)
    elif isinstance(event, e.Tick):
        state = _tick(state, out, event.seconds)
    elif isinstance(event, OUTCOMES):
        state = _outcome(state, out, event)
    elif isinstance(event, e.DebugAction):
        state = debugger.debug_action(state, out, event)
    elif isinstance(event, ON_BRANCHES):
        state = _on_branches(state, out, event)
    else:
        state = _act(state, out, event)
    return renew(before, state), tuple(out)


# -- actions


def _act(state: SessionState, out: Commands, event: e.SessionEvent) -> SessionState:
    """Handle an action that is possible without a record."""
    match event:
        case e.Load() | e.Restart() if not (state.observed.replaceable or state.notice.text == LEAVES_FOR_GOOD):
            return hint(state, LEAVES_FOR_GOOD)
        case e.Start(waits_for):
            out.append(c.Launch())
            if waits_for:
                return replace(state, phase=Starting(Progress(waits_for)))
            return open_model(state, out, continues=False)
        case e.Load():
            return _load(state, out, event)
        case e.Cancel():
            return _cancel(state, out)
        case e.Revive():
            return revive(replace(state, retries=reconnect.Retries()), out)
        case e.Restart() if state.read_only:
            return hint(state, READ_ONLY)
        case e.Restart(by):
            return _restart(replace(state, seed=state.seed + by), out)
        case e.Close():
            out += [c.CloseEngine(), c.CloseRecording()]
            return state
        case e.TurnKnob(name, value):
            if state.read_only:
                return hint(state, READ_ONLY)
            try:
                return branches.turn_knob(state, out, turned(state.upcoming, name, value, state.strategies))
            except ValueError as error:
                return hint(state, str(error))
        case e.ChangeOptions(settings):
            out.append(c.SendSettings(settings))
            return replace(state, settings=settings)
        case e.Move(player):
            now = state.player
            moved = player.position != now.position or player.stepping or player.playing > now.playing
            return replace(state, player=player, moves=state.moves + bool(moved))
        case e.ShowSample(sample):
            return replace(state, sample=sample)
        case e.ShowNotice(notice):
            return replace(state, notice=notice)
        case e.Dismiss():
            return debugger.dismiss(state)
        case e.PickerOpened():
            return replace(state, needs_model=None)
        case e.StartModelCheck():
            if not state.live:
                return replace(state, check="no live engine to measure it")
            out.append(c.RequestModelCheck())
            return replace(state, check=None)
    return state


def _load(state: SessionState, out: Commands, event: e.Load) -> SessionState:
    """Load a model, in a new engine process if none is alive."""
    if not state.alive:
        state = relaunch(state, out)
    if state.running is None:
        player = Player(playing=not state.options.paused)
    else:
        player = playing.seek(state.player, state.player.position)
    state = replace(state, choice=event.choice, seed=state.seed + event.by, player=player)
    return open_model(state, out, continues=False)


def _cancel(state: SessionState, out: Commands) -> SessionState:
    """Stop loading, recomputing or reconnecting."""
    match state.phase:
        case Lost() | Recomputing() | LoadingModel(continues=True):
            out.append(c.CloseEngine(patience=0))
            message = f"Cancelled. The record stays ({key('revive')}: continue)"
            return pause(replace(state, phase=Dead("Cancelled")), message)
        case LoadingModel() | Starting(progress=Progress()):
            state = relaunch(state, out, patience=0)
            return ask_for_model(state, f"Cancelled loading {state.choice.name}")
    return state


def _restart(state: SessionState, out: Commands) -> SessionState:
    """Begin a new run; the record on screen stays until then."""
    running = state.running or state.arriving
    match state.phase:
        case Starting(loaded=False):
            # the model that is being waited for begins with the new seed
            return state
        case Starting():
            running = state.arriving
        case LoadingModel(progress, _, answers):
            return replace(state, phase=LoadingModel(progress, continues=False, answers=answers))
    if running is None or not state.loaded or state.choice != running.choice:
        return revive(replace(state, retries=reconnect.Retries()), out, continues=False)
    return begin_run(state, out, running, playing=not state.options.paused)


ON_BRANCHES = (
    e.EditCanvas, e.BranchOff, e.ShowBranch, e.Compare, e.OpenPanes, e.AddPane, e.ClosePanes, e.FocusPane, e.PutInPane
)  # fmt: skip


def _on_branches(state: SessionState, out: Commands, event: e.SessionEvent) -> SessionState:
    """Handle an action that needs a record on screen."""
    if state.running is None:
        return state
    shown = [pane.branch for pane in state.panes.panes]
    match event:
        case e.EditCanvas() | e.BranchOff() | e.AddPane() if state.read_only:
            return hint(state, READ_ONLY)
        case e.EditCanvas(edit) if state.live:
            return branches.edit_canvas(state, out, edit)
        case e.BranchOff() if state.live:
            return branches.branch_off(state, out)
        case e.ShowBranch(branch) if branch in state.observed.records and not shown:
            return branches.go_to(state, out, branch)
        case e.Compare(branch):
            return replace(state, branches=replace(state.branches, against=branch))
        case e.OpenPanes() if not shown and len(state.order) > 1:
            return panes.open_panes(state, out)
        case e.AddPane(settings) if state.live and state.observed.writable:
            return panes.add_pane(state, out, settings)
        case e.ClosePanes() if shown:
            return panes.close_panes(state, out)
        case e.FocusPane(branch) if branch in shown:
            return panes.focus_on(state, out, branch)
        case e.PutInPane(branch) if shown and branch not in shown and branch in state.observed.records:
            return panes.put_in_pane(leave(state), out, branch)
    return state


# -- the clock


def _tick(state: SessionState, out: Commands, seconds: float) -> SessionState:
    """Move the view and request steps after `seconds` have passed."""
    if isinstance(state.phase, Lost):
        state = _count_down(state, out, state.phase, seconds)
    state = catch_up(state)
    if state.lead and state.recorded >= state.lead:
        state = replace(pause_at(state, state.lead), lead=0)
    start, known = state.player.position, state.player.recorded
    player, demand = playing.tick(state.player, seconds)
    state = replace(state, player=player)
    if player.position > start and state.record is not None:
        out.append(c.CheckBreakpoints(start))
    if state.live and not state.branches.switching:
        state, request = panes.demand(state, demand, known)
        out.append(request)
    return state


def _count_down(state: SessionState, out: Commands, lost: Lost, seconds: float) -> SessionState:
    """Count down to the next try to reach the engine, then make it."""
    lost = replace(lost, wait=lost.wait - seconds)
    if lost.wait <= 0:
        return revive(state, out)
    return show_notice(replace(state, phase=lost), reconnect.describe_retry(state.retries, lost), ends=THIS_ENGINE)


# -- outcomes of commands


def _outcome(state: SessionState, out: Commands, event: e.SessionEvent) -> SessionState:
    """Handle the outcome of a command."""
    match event:
        case e.LaunchFailed(reason):
            return dead(state, f"Cannot start the engine: {reason}")
        case e.Adopted(record):
            return put_on_screen(state, out, record)
        case e.RecordingResumed():
            return _recording_resumed(state, out, event)
        case e.ResumeFailed(reason):
            return failed(state, reason, loaded=True)
        case e.Forked():
            return branches.branch_forked(state, out, event)
        case e.ForkFailed():
            return branches.fork_failed(state, out, event)
        case e.RequestSent():
            return replace(state, player=playing.request_sent(state.player))
        case e.BreakpointsHit(hits, branch):
            return stop_at_hits(state, out, hits, branch)
        case e.RunLeft(text) if not state.notice.text:
            return show_notice(state, f"{sanitize(text, cells=True)} ({key('runs')}: runs)", "note", THIS_RUN)
        case e.Damaged(reason):
            state = replace(state, player=replace(state.player, recorded=state.recorded, stepping=0))
            return pause(state, reason, THIS_RUN)
        case e.CloseFailed(reason):
            return replace(state, unwritten=f"The recording is incomplete: {reason}")
    return state


def _recording_resumed(state: SessionState, out: Commands, event: e.RecordingResumed) -> SessionState:
    """Continue the recording that was opened."""
    options, record = state.options, event.record
    assert options.run is not None
    state = use_run(state, out, event.model)
    running = Running(state.choice, event.model, options.run)
    state = replace(state, running=running, record=record, branch=options.branch, player=Player(playing=False))
    return continue_record(state, out)
