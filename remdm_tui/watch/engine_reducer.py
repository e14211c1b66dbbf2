"""The part of the reducer for the engine's events.  Pure."""

from __future__ import annotations

from dataclasses import replace

from engine import wire
from engine.records import ModelInfo
from engine.sampling.trace import Record
from engine.sudoku.rules import LAYOUT, no_sudoku
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link import base
from remdm_tui.settings.watch_options import fit_to_model
from remdm_tui.watch import branch_reducer as branches
from remdm_tui.watch import commands as c
from remdm_tui.watch import pane_reducer as panes
from remdm_tui.watch import reconnect
from remdm_tui.watch.debug_events import debug_sent
from remdm_tui.watch.key_names import key
from remdm_tui.watch.notices import THIS_RUN, Notice, Progress
from remdm_tui.watch.phase import Live, LoadingModel, Recomputing, Starting, recomputing
from remdm_tui.watch.player import Player
from remdm_tui.watch.run_recording import describe_error
from remdm_tui.watch.state import BranchState, Running, SessionState
from remdm_tui.watch.transitions import (
    Commands,
    ask_for_model,
    ask_without_engine,
    cancel_requests,
    catch_up,
    dead,
    end_prediction,
    failed,
    hint,
    pause,
    show_notice,
    use_run,
)  # fmt: skip


def engine_sent(state: SessionState, out: Commands, event: base.LinkEvent) -> SessionState:
    """Handle an event of the engine; ignore those of one that has ended."""
    if not state.alive:
        return state
    match event:
        case base.Died():
            return _died(cancel_requests(state), event)
        case base.Diverged() if isinstance(state.phase, Starting | Recomputing):
            reason = "The recomputed steps differ from the record (another device or version?)"
            return failed(state, reason, f"{reason}. {key('restart')}: new run", loaded=True)
        case base.Unwritten(error):
            problem = sanitize(describe_error(error), cells=True)
            reason = f"Cannot record the step: {problem}"
            message = f"{reason}. The record stays ({key('revive')}: continue)"
            if isinstance(state.phase, LoadingModel):
                return pause(state, message)
            return failed(state, reason, message, loaded=True)
        case wire.Failed(stage, reason, _):
            return _failed(cancel_requests(state), stage, sanitize(reason, cells=True))
        case wire.Rejected():
            return _rejected(state, out, event)
        case wire.Hello(strategies, problems):
            return replace(state, strategies=strategies, problems=problems)
        case wire.Checked(check):
            return replace(state, check=check)
        case wire.Loading(stage, done, total) if isinstance(state.phase, LoadingModel):
            return replace(state, phase=replace(state.phase, progress=Progress(stage, done, total)))
        case wire.Ready(model) if isinstance(state.phase, LoadingModel):
            return _ready(state, out, state.phase, model)
        case wire.Began():
            return _began(state, out)
        case wire.Replaying(_, done, total) if isinstance(state.phase, Recomputing):
            return replace(state, phase=recomputing(done, total))
        case wire.Resumed() if isinstance(state.phase, Recomputing):
            return _resumed(state, out)
        case wire.Finished(branch=branch):
            ended = state.branches.ended | {branch}
            state = replace(state, branches=replace(state.branches, ended=ended))
            # the engine sends this for every step still owed; it says nothing about a run requested since
            ends = state.live and (bool(state.panes.panes) or branch == state.branch)
            return catch_up(state, ended=True) if ends else state
        case wire.Stepped():
            # the link has put it into the record, which the next tick looks at
            return state
        case base.Diverged() | wire.Loading() | wire.Ready() | wire.Replaying() | wire.Resumed():
            # of a phase that is over
            return state
        case _:
            return debug_sent(state, out, event)


# -- a model, and a run of it


def begin_run(state: SessionState, out: Commands, running: Running, *, playing: bool) -> SessionState:
    """Have the engine begin a new run with the seed of the state."""
    state = panes.keep_panes(state)
    arriving = replace(running, run=replace(running.run, seed=state.seed))
    out += [
        c.ExpectRun(arriving.choice, arriving.model, arriving.run),
        c.BeginRun(state.settings, arriving.run),
    ]
    player = Player(playing=playing, speed=state.player.speed)
    return replace(state, player=player, arriving=arriving, phase=Starting(loaded=True))


def _ready(state: SessionState, out: Commands, phase: LoadingModel, model: ModelInfo) -> SessionState:
    if phase.answers > 1:
        # another model was requested since
        return replace(state, phase=replace(phase, answers=phase.answers - 1))
    running = state.running
    if phase.continues and running is not None:
        if running.model.differs(model):
            reason = f"{model.name} has changed since this run began, so it cannot be continued"
            message = f"{reason}. {key('restart')}: new run, {key('model')}: pick a model"
            # a new run loads it again, under its own header
            return failed(state, reason, message, loaded=False)
        out.append(c.BeginRun(state.settings, running.run, state.record, state.branch))
        phase_then = recomputing(0, state.length(state.branch))
        return replace(state, arriving=replace(running, model=model), phase=phase_then)
    if state.observed.resume:
        out.append(c.ResumeRecording(model))
        return state
    if state.options.puzzle and model.layout != LAYOUT:
        return _refuse_run(state, no_sudoku(model.name))
    settings, run = fit_to_model(state.options, model, state.strategies)
    untouched = running is None and state.settings == state.options.settings
    if untouched or state.causal != model.causal:
        state = replace(state, settings=settings)
    playing = state.player.playing if running is None else not state.options.paused
    state = replace(state, causal=model.causal)
    return begin_run(state, out, Running(state.choice, model, run), playing=playing)


def _began(state: SessionState, out: Commands) -> SessionState:
    """Show a new run, or note that the engine is about to recompute the record."""
    if isinstance(state.phase, Recomputing):
        state = _show_run(state, out)
        return state if state.length(state.branch) else _resumed(state, out)
    record = state.observed.record
    if record is None or not isinstance(state.phase, Starting | LoadingModel | Live):
        return state
    state = put_on_screen(state, out, record, state.observed.branch)
    if not isinstance(state.phase, Starting):
        return state
    return panes.begin_panes(_resumed(state, out), out)


def put_on_screen(state: SessionState, out: Commands, record: Record, branch: int = 0) -> SessionState:
    """Replace the record on screen by that of a new run."""
    player = Player(playing=state.player.playing, speed=state.player.speed)
    state = replace(
        state,
        record=record,
        branch=branch,
        branches=BranchState(),
        player=player,
        runs=state.runs + 1,
        stopped_laws=frozenset(),
    )
    state = _show_run(state, out)
    return panes.reset_panes(replace(state, check=None))


def _show_run(state: SessionState, out: Commands) -> SessionState:
    """Make the run that was to begin the one on screen."""
    running = state.arriving or state.running
    if running is not None:
        state = use_run(state, out, running.model)
    out.append(c.TidyRecording())
    return replace(state, running=running)


def _resumed(state: SessionState, out: Commands) -> SessionState:
    """Enter `Live`: the engine is at the end of the record, or of a pane's."""
    state = replace(state, phase=Live())
    state = panes.assemble(state, out) if state.panes.panes else branches.follow(state, out)
    if not state.live:
        return state
    problems = "; ".join(filter(None, (state.observed.problem, *state.problems, *state.options.problems)))
    notice = Notice(
        sanitize(problems or state.hint, cells=True),
        "failure" if problems else "note",
        THIS_RUN if problems else ("run", "plays"),
    )
    return replace(state, notice=notice, hint="")


# -- failures


def _failed(state: SessionState, stage: str, reason: str) -> SessionState:
    """Handle the failure of one stage of the engine."""
    phase = state.phase
    match stage:
        case "check":
            return replace(state, check=reason)
        case "load" if isinstance(phase, LoadingModel):
            if phase.answers > 1:
                return replace(state, phase=replace(phase, answers=phase.answers - 1))
            return ask_for_model(state, reason)
        case "begin" if isinstance(phase, Recomputing):
            return failed(state, reason, loaded=True)
        case "begin" if isinstance(phase, Starting):
            return _refuse_run(state, reason)
    return pause(state, reason)


def _refuse_run(state: SessionState, reason: str) -> SessionState:
    """Handle a model with which the run cannot begin."""
    if state.running is None and state.choice == state.options.model:
        # the options of the command line are wrong: end, so that the person corrects them
        return failed(state, reason, loaded=True)
    return ask_for_model(state, reason, loaded=True)


def _died(state: SessionState, event: base.Died) -> SessionState:
    """Handle the end of the engine process: ask, give up, or try a remote engine again."""
    how = f"was killed by signal {-event.code}" if event.code < 0 else f"exited with {event.code}"
    reason = f"The engine {how}" + (f": {event.last}" if event.last else "")
    if event.permanent:
        return dead(state, event.last)
    if state.running is None:
        can_ask = state.strategies and state.progress is not None
        return ask_without_engine(state, reason) if can_ask else dead(state, reason)
    if not state.options.where:
        return dead(state, reason, f"{reason}. The record stays ({key('revive')}: restart the engine)")
    reason = event.last or reason
    retries, lost = reconnect.next_try(state.retries, reason, state.recorded)
    state = replace(state, retries=retries)
    if lost is None:
        return dead(state, reason, f"Connection lost ({reason}). The record stays ({key('revive')}: try again)")
    return replace(state, phase=lost)


def _rejected(state: SessionState, out: Commands, event: wire.Rejected) -> SessionState:
    """Handle a command that the engine refused."""
    match event:
        case wire.Rejected(reason, "Fork") if state.panes.unanswered:
            return panes.pane_refused(state, out, reason)
        case wire.Rejected(_, "Together"):
            return state
        case wire.Rejected(_, "Fork" | "Switch") if state.observed.writable:
            return branches.branch_refused(state, out) if state.live else state
        case wire.Rejected(reason, "Look" | "Draft" | "Alter" as command):
            if command == "Look":
                state = end_prediction(state, hide=True)
            if command == "Draft":
                state = replace(state, drafts=state.drafts.end())
            return hint(replace(state, lead=0), sanitize(reason, cells=True))
        case wire.Rejected(reason, ""):
            # what is wrong with the recording itself
            return show_notice(state, sanitize(reason, cells=True), ends=THIS_RUN)
        case wire.Rejected(reason):
            return show_notice(state, sanitize(reason, cells=True))
