"""The part of the reducer for the events of the engine's debugger.  Pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import assert_never

from engine import wire
from engine.debug.findings import Violation
from engine.debug.laws import EXPECTED
from engine.debug.messages import DebugEvent
from engine.records import StrategyInfo
from remdm_tui.console.sanitize import sanitize
from remdm_tui.settings.knobs import STRATEGY, turned
from remdm_tui.watch import commands as c
from remdm_tui.watch.findings import Failure, describe_law
from remdm_tui.watch.notices import A_LAW, Notice
from remdm_tui.watch.state import SessionState
from remdm_tui.watch.transitions import (
    Commands,
    catch_up,
    failed,
    mark_uneven,
    pause,
    pause_at,
    show_failure,
    show_notice,
    stop_at_hits,
)  # fmt: skip


def debug_sent(state: SessionState, out: Commands, event: DebugEvent) -> SessionState:
    """Handle an event of the debugger."""
    match event:
        case wire.FileLoaded(path, _, strategy):
            return _file_loaded(state, out, path, strategy)
        case wire.StrategyFailed():
            return _strategy_failed(state, out, event)
        case wire.Stopped(branch=branch, hits=hits):
            return stop_at_hits(catch_up(state), out, hits, branch)
        case wire.Broken(branch=branch, violation=violation):
            state = replace(state, findings=state.findings.add(violation, branch))
            return state if violation.law == EXPECTED else _law_broken(state, out, violation, branch)
        case wire.Looked(prediction=prediction):
            out.append(c.FindRank(prediction))
            return replace(state, inspection=replace(state.inspection, prediction=prediction, pending=False))
        case wire.Drafted(branch=branch, drafts=drafts):
            return replace(state, drafts=state.drafts.answer(drafts, branch))
        case wire.Switched(branch=branch):
            unanswered = state.panes.unanswered
            unanswered = unanswered[1:] if unanswered[:1] == (branch,) else unanswered
            return replace(
                state,
                branches=replace(state.branches, switching=False),
                panes=replace(state.panes, unanswered=unanswered),
            )
        case _:
            assert_never(event)


def _law_broken(state: SessionState, out: Commands, violation: Violation, branch: int) -> SessionState:
    """Show a broken law; the first time in a run that plays, stop there and select the token that broke it."""
    player = state.player
    stops = state.live and not state.read_only and player.playing and violation.law not in state.stopped_laws
    if stops and branch == state.branch:
        out.append(c.SelectSuspect(violation))
    if stops:
        state = catch_up(replace(state, stopped_laws=state.stopped_laws | {violation.law}))
        state = mark_uneven(pause_at(replace(state, lead=0), violation.step))
    return _show_law(state, violation)


def _show_law(state: SessionState, violation: Violation) -> SessionState:
    """Show a broken law until the person leaves its step; several of one step share the line."""
    notice = state.notice
    if notice.ends == A_LAW:
        return replace(state, notice=replace(notice, more=notice.more + 1))
    return show_notice(state, describe_law(violation, state.options.ascii), ends=A_LAW)


def _file_loaded(state: SessionState, out: Commands, path: str, strategy: StrategyInfo) -> SessionState:
    """Offer a strategy that was loaded from a file, or reloaded after the file changed."""
    first, options = not state.file, state.options
    others = [info for info in state.strategies if info.name != strategy.name]
    state = show_failure(replace(state, file=strategy.name, strategies=(*others, strategy)), None)
    settings = state.settings
    try:
        if first and "strategy" not in options.explicit:
            defaults = {knob.name: knob.default for knob in strategy.knobs}
            settings = replace(settings, strategy=strategy.name, knobs=defaults)
            for name, value in options.file_knobs:
                settings = turned(settings, name, value, state.strategies)
        elif settings.strategy == strategy.name:
            settings = turned(settings, STRATEGY, strategy.name, state.strategies)
    except ValueError as error:
        return failed(state, str(error), loaded=False) if state.running is None else pause(state, str(error))
    state = replace(state, settings=settings)
    if state.running is None:
        return state
    text = f"Reloaded {Path(path).name}. Takes effect at the next step"
    return show_notice(state, sanitize(text, cells=True), "note")


def _strategy_failed(state: SessionState, out: Commands, event: wire.StrategyFailed) -> SessionState:
    """Show why a strategy failed, at the step that it could not take."""
    failure = Failure.of(event)
    if state.running is None:
        return failed(state, f"{failure.reason}\n{failure.detail}".rstrip(), loaded=state.loaded)
    # notices about the previous version no longer hold
    state = replace(show_failure(state, failure), lead=0, notice=Notice())
    return pause_at(catch_up(state), event.step) if event.step >= 0 else state
