"""The watch session as a state machine: 200 random events and actions never lead it astray."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import strategies, wire
from engine.debug.branches import fork_record
from engine.debug.findings import Drafts, Hit, TokenPrediction, Violation
from engine.debug.laws import EXPECTED
from engine.records import Branch, Edit, Frame, ModelCheck, ModelChoice, ModelInfo, Settings
from engine.sampling.trace import RunStart, Trace
from engine.strategies import make_strategy, values
from remdm_tui.link.base import Died, Diverged, Unwritten
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch import player as playing
from remdm_tui.watch.breakpoints import Breakpoint
from remdm_tui.watch.findings import Findings
from remdm_tui.watch.inspector import Inspection
from remdm_tui.watch.notices import A_LAW, THIS_ENGINE, Notice
from remdm_tui.watch.phase import Dead, EngineFailed, Live, LoadingModel, Lost, Recomputing, Starting
from remdm_tui.watch.player import Player
from remdm_tui.watch.reconnect import Retries, next_try
from remdm_tui.watch.reducer import reduce
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.watch.session import WatchSession
from remdm_tui.watch.state import Observed, PaneState, SessionState
from remdm_tui.watch.store import Store
from remdm_tui.watch.transitions import settings_at
from tests.tui.scripted import ScriptedLink

CAP = Settings("remdm-cap", values(make_strategy("remdm-cap")))
MDLM = Settings("mdlm", {})
TOKENS = np.zeros((1, 4), np.int32)
ARRAY = wire.Array.of(TOKENS)
GOOD, BAD = ModelChoice("good"), ModelChoice("bad")
LENGTH = 200
"""Events of one walk."""
CATALOGUE = strategies.catalogue()
"""Made once: describing all strategies for each event took most of the time."""
WALK = st.binary(min_size=2 * LENGTH, max_size=2 * LENGTH)
"""A walk as one draw: drawing its numbers one by one takes a quarter of the time of a test."""
QUICK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def model(choice: ModelChoice) -> ModelInfo:
    return ModelInfo(choice.name, 1, "float32", "cpu", 2, 1, None, False, ("a", "[MASK]"), "sdpa", "toy")


def frame(index: int, under: Settings) -> Frame:
    zeros = np.zeros(TOKENS.shape, np.float32)
    return Frame(index, 1, 0, 0, 1, TOKENS, np.zeros(TOKENS.shape, np.uint8), zeros, zeros, zeros, index + 1, under)


def drafts(step: int) -> Drafts:
    return Drafts(step, 0, (0,), (0,), (0.5,), (0.7,))


def predicted(step: int) -> TokenPrediction:
    return TokenPrediction(step, 0, 1, 0, False, (), 0, 0.0, 0.5, ())


class World:
    """Link and recording of a session, without a process: every command is done at once or fails."""

    def __init__(self, options: WatchOptions) -> None:
        self.link: Trace | None = None
        self.branch, self.known, self.fails, self.writable = 0, {0}, False, True
        self.tree, self.records = [Branch(0)], {0: Trace(RunStart(TOKENS, TOKENS > 0, 9, 0))}
        self.seen: list[c.SessionCommand] = []
        state = SessionState(options, options.settings, options.model, panes=PaneState(next_settings=options.compare))
        self.store = Store(state, self.observe, self.execute)

    def observe(self, state: SessionState) -> Observed:
        shown = {pane.branch: pane.record for pane in state.panes.panes}
        records = self.records | shown | ({} if state.record is None else {state.branch: state.record})
        lengths = {branch: len(record) for branch, record in records.items()}
        return Observed(
            self.link, self.branch, 0, frozenset(self.known), tuple(self.tree), records, lengths, self.writable
        )

    def execute(self, command: c.SessionCommand) -> list[e.SessionEvent]:
        self.seen.append(command)
        match command:
            case c.Launch() | c.Relaunch() if self.fails:
                return [e.LaunchFailed("no python")]
            case c.BeginRun(_, _, None):
                self.link, self.branch, self.known = Trace(RunStart(TOKENS, TOKENS > 0, 9, 0)), 0, {0}
                self.tree, self.records = [Branch(0)], {0: self.link}
            case c.BeginRun(_, _, record, branch):
                self.link, self.branch, self.known = record, branch, {branch}
            case c.ForkRecording() if self.fails:
                return [e.ForkFailed(command, "the disk is full")]
            case c.ForkRecording(parent, at):
                branch, shown = Branch(len(self.tree), parent, at), self.observe(self.store.state).records
                self.tree.append(branch)
                # an engine that died before it began another run has left the one on screen
                self.records[branch.id] = fork_record(shown[parent], at)
                return [e.Forked(command, branch, self.records[branch.id])]
            case c.ForkEngine(branch) | c.RecallBranch(branch):
                self.branch = branch.id
                self.known.add(branch.id)
            case c.SwitchEngine(branch):
                assert branch in self.known
                self.branch = branch
            case c.Request(demand):
                return [e.RequestSent()] if demand.steps else []
        return []

    def begins(self, steps: list[Settings]) -> wire.Began:
        """Return the beginning of a run that is recorded already."""
        assert self.link is not None
        for under in steps:
            self.link.append(frame(len(self.link), under))
        return wire.Began(1, ARRAY, ARRAY, 9, 0)

    def grow(self) -> None:
        """A step of every branch that is stepped comes."""
        state = self.store.state
        for branch in [pane.branch for pane in state.panes.panes] or [state.branch]:
            if state.live and branch in self.known:
                record = self.store.observe().observed.records[branch]
                record.append(frame(len(record), state.settings))


def numbers(walk: bytes) -> list[tuple[int, int, bool]]:
    """Return what happens at each step of a walk: its kind, a number from 0 to 8, and whether the record grows."""
    return [(kind, n // 2 % 9, bool(n % 2)) for kind, n in zip(walk[::2], walk[1::2], strict=True)]


def happens(world: World, kind: int, n: int) -> e.SessionEvent:
    """Return one of all events there are, in whatever phase the session is."""
    state = world.store.observe()
    tree = len(world.tree)
    hit = Hit(1, "step 1", "step 1", min(n, state.recorded), (0,), ())
    began = wire.Began(1, ARRAY, ARRAY, 9, 0)
    all_of_them: list[Any] = [
        e.Tick(n / 4), e.Tick(1), e.Tick(9), wire.Hello(CATALOGUE), wire.Loading("files", n, 9),
        wire.Ready(model(state.choice)), wire.Ready(model(state.choice)), began, began, wire.Replaying(1, n, 9),
        wire.Resumed(1, ARRAY), wire.Resumed(1, ARRAY), wire.Finished(1, n % tree), wire.Switched(1, n % tree, 0),
        Died(1, "gone"), Died(1, "not an engine", permanent=n == 0), Diverged(), Unwritten(OSError("full")),
        *(wire.Failed(stage, "a fault", "") for stage in ("load", "begin", "step", "check", "debug")),
        *(wire.Rejected("no", name) for name in ("Fork", "Switch", "Together", "Look", "Draft", "Alter")),
        wire.Rejected("no", "Configure"), wire.Drafted(1, n % tree, drafts(n)),
        wire.Stopped(1, n % tree, 1, (hit,)), wire.StrategyFailed(1, 0, 1, n - 1, "bad", "line 3"),
        wire.FileLoaded("mine.py", "0", CATALOGUE[n % 3]),
        e.Load((GOOD, BAD)[n % 2], n % 2), e.Cancel(), e.Revive(), e.Restart(n % 3), e.TurnKnob("top_p", 0.5 + n / 20),
        e.TurnKnob("nothing", 1), e.Move(playing.toggle(state.player)), e.Move(playing.forward(state.player)),
        e.Move(playing.seek(state.player, n)), e.ShowNotice(Notice("hm", "hint")), e.StartModelCheck(), e.ShowSample(0),
        e.ChangeOptions(MDLM), e.EditCanvas(Edit("lock", 0, 0)), e.BranchOff(), e.ShowBranch(n % tree),
        e.Compare(n % tree), e.OpenPanes(), e.AddPane(MDLM), e.ClosePanes(), e.FocusPane(n % tree),
        e.PutInPane(n % tree), e.Select(n % 4), e.Search("a"), e.TogglePrediction(), e.CloseFailure(), e.Dismiss(),
        e.NewBreakpoint("step 3"), e.ToggleBreakpoint(n % 3), e.RemoveBreakpoint(n % 3), e.Damaged("torn"),
        e.BreakpointsHit((hit,), n % tree), e.WantDrafts(n % 2 == 0, n % 3 == 0), e.PickerOpened(),
        e.CloseFailed("full"), e.RunLeft("run 1"), e.Close(), wire.Looked(1, n % tree, predicted(n)),
        wire.Broken(1, n % tree, Violation(("range", EXPECTED)[n % 2], n, "a <= b", "too much", ())),
        wire.Checked(ModelCheck(3.5, 6.2, 40)),
    ]  # fmt: skip
    return all_of_them[kind % len(all_of_them)]


BEGINNINGS = {e.Start, e.Adopted, e.RecordingResumed, e.ResumeFailed, wire.Stepped}
"""Events that only the start, an opened recording or an ended engine causes; frames never reach the reducer."""
OF_COMMANDS = {e.LaunchFailed, e.Forked, e.ForkFailed, e.RequestSent}
"""Outcomes that `World.execute` returns."""


def test_a_walk_has_every_event() -> None:
    world = started()
    met = {type(happens(world, kind, 0)) for kind in range(256)}
    assert met | BEGINNINGS | OF_COMMANDS == set(get_args(e.SessionEvent))
    assert not met & (BEGINNINGS | OF_COMMANDS)


def answers_keys(state: SessionState) -> None:
    """Every phase has a way on: R, r, m and q."""
    emitted = [reduce(state, key)[1] for key in (e.Revive(), e.Load(GOOD), e.Close())]
    assert [any(isinstance(one, c.Relaunch) for one in commands) for commands in emitted[:1]] == [True]
    assert all(any(isinstance(one, c.OpenModel) for one in commands) for commands in emitted[:2])
    assert emitted[2] == (c.CloseEngine(), c.CloseRecording())
    again, commands = reduce(state, e.Restart(1))
    begins = any(isinstance(one, c.BeginRun | c.OpenModel) for one in commands)
    assert again.seed == state.seed + 1
    assert begins or isinstance(state.phase, Starting | LoadingModel)
    assert not isinstance(again.phase, LoadingModel) or not again.phase.continues


@QUICK
@given(
    WALK,
    st.sampled_from(["", "gpu"]),
    st.sampled_from([(), (MDLM,), (MDLM, CAP, MDLM)]),
    st.booleans(),
)
def test_random_events_find_the_reducer_prepared(
    walk: bytes, where: str, compare: tuple[Settings, ...], begins: bool
) -> None:
    world = World(WatchOptions(CAP, GOOD, steps=9, length=4, where=where, compare=compare))
    world.store.dispatch(e.Start())
    if begins:
        for event in (wire.Hello(CATALOGUE), wire.Ready(model(GOOD)), wire.Began(1, ARRAY, ARRAY, 9, 0)):
            world.store.dispatch(event)
        assert world.store.state.live
    for kind, n, grows in numbers(walk):
        world.fails = n == 7
        if grows:
            world.grow()
        before = {branch: len(record) for branch, record in world.store.observe().observed.records.items()}
        run, world.seen = world.store.state.arriving, []
        event = happens(world, kind, n)
        world.store.dispatch(event)
        state = world.store.state
        for command in world.seen:
            if isinstance(command, c.BeginRun) and command.record is None:
                # a record makes way for a new run only when somebody has asked for one
                assert isinstance(event, e.Restart | wire.Ready)
                assert state.arriving is not run
            elif isinstance(command, c.BeginRun):
                assert len(command.record or ()) >= before[command.branch]
        assert 0 <= state.player.position <= state.player.recorded
        assert (state.record is None) == (state.running is None)
        panes = [pane.branch for pane in state.panes.panes]
        assert not panes or (state.panes.focus in panes and state.branch == state.panes.focus)
        assert len(set(panes)) == len(panes) != 1 or state.panes.pending
        answers_keys(world.store.observe())
        header_is_the_records(world.store.observe())


def header_is_the_records(state: SessionState) -> None:
    """The header describes what made the step on screen, and what is recorded or set for the next one."""
    length = state.length(state.branch)
    if state.record is None or not length:
        assert state.made == state.settings
        return
    changes = state.record.settings()
    assert state.made == settings_at(changes, max(0, state.position - 1))
    recorded = settings_at(changes, state.position) if state.past and state.position < length else None
    # a recording that is only read has no step after its last
    following = state.made if state.read_only else state.settings
    assert state.upcoming == (following if recorded is None else recorded)


@settings(QUICK, max_examples=10)
@given(
    st.binary(min_size=200, max_size=200),
    st.lists(st.sampled_from([CAP, MDLM]), min_size=1, max_size=9),
)
def test_nothing_changes_the_header_of_a_recording_but_its_step_and_its_branch(
    walk: bytes, steps: list[Settings]
) -> None:
    world = World(WatchOptions(steps[0], GOOD, steps=9, length=4, paused=True))
    world.writable = False
    for event in (e.Start(), wire.Hello(CATALOGUE), wire.Ready(model(GOOD))):
        world.store.dispatch(event)
    world.store.dispatch(world.begins(steps))
    for kind, n, _ in numbers(walk):
        event = happens(world, kind, n)
        # a recording neither ends its engine nor begins another run
        if isinstance(event, e.Action | e.Tick) and not isinstance(
            event, e.Load | e.Revive | e.ChangeOptions | e.ShowBranch
        ):
            world.store.dispatch(event)
        state = world.store.observe()
        assert state.made == steps[max(0, state.position - 1)]
        assert state.upcoming == steps[min(state.position, len(steps) - 1)]
        assert state.running is not None
        assert (state.running.run.seed, state.seed, len(world.records[0])) == (0, 0, len(steps))


def seeks(position: int) -> e.Move:
    return e.Move(playing.seek(Player(recorded=3), position))


def test_a_knob_turned_in_the_past_changes_that_knob_alone() -> None:
    world = started()
    for under in (CAP, CAP, MDLM):
        world.records[0].append(frame(len(world.records[0]), under))
    for event in (e.Tick(0), seeks(3), e.TurnKnob("top_p", 0.5)):
        world.store.dispatch(event)
    # at the end it is set for the next step, and what made the step on screen stays
    assert (world.store.observe().made, world.store.state.upcoming.top_p) == (MDLM, 0.5)
    for event in (seeks(1), e.TurnKnob("temperature", 0.25)):
        world.store.dispatch(event)
    forked = [one for one in world.seen if isinstance(one, c.ForkRecording)]
    assert [(one.at, one.settings) for one in forked] == [(1, replace(CAP, temperature=0.25))]


def test_without_an_engine_a_knob_changes_nothing_of_the_past() -> None:
    world = started()
    for _ in range(3):
        world.grow()
    for event in (e.Tick(0), Died(1, "gone"), seeks(1)):
        world.store.dispatch(event)
    before = world.store.observe().upcoming
    world.store.dispatch(e.TurnKnob("top_p", 0.5))
    state = world.store.observe()
    assert (state.upcoming, state.notice.severity) == (before, "hint")


@pytest.mark.parametrize(
    ("notice", "ends"),
    [
        (Notice("position 1 is masked", "hint"), seeks(1)),
        (Notice("position 1 is masked", "hint"), e.Select(4)),
        (Notice("stopped at step 3"), e.Move(Player(3, 3, playing=True))),
        (Notice("the engine died", "failure", THIS_ENGINE), e.Revive()),
        (Notice("sigma at step 3", "failure", A_LAW), e.Move(playing.forward(Player(3, 3, playing=False)))),
        (Notice("sigma at step 3", "failure", A_LAW), e.Dismiss()),
        (Notice("1 of 2 panes fit"), wire.Began(1, ARRAY, ARRAY, 9, 0)),
    ],
)
def test_a_notice_ends_when_what_it_says_no_longer_holds(notice: Notice, ends: e.SessionEvent) -> None:
    world = started()
    for _ in range(3):
        world.grow()
    for event in (e.Tick(0), seeks(3), e.ShowNotice(notice), e.Tick(1)):
        world.store.dispatch(event)
    assert world.store.state.notice == notice
    if isinstance(ends, wire.Began):
        world.link = Trace(RunStart(TOKENS, TOKENS > 0, 9, 0))
    world.store.dispatch(ends)
    assert world.store.state.notice != notice


def draft_requests(world: World) -> list[int]:
    """Return the steps whose drafts were requested."""
    return [one.step for one in world.seen if isinstance(one, c.RequestDrafts)]


def test_drafts_are_requested_once_a_step_and_one_request_after_the_other() -> None:
    world = started()
    for _ in range(3):
        world.grow()
    on, off = e.WantDrafts(overlay=True, entropy=False), e.WantDrafts(overlay=False, entropy=False)
    for event in (e.Tick(0), seeks(3), off, on, on, seeks(2), on):
        world.store.dispatch(event)
    assert draft_requests(world) == [3]
    world.store.dispatch(wire.Drafted(1, 0, drafts(3)))
    place = (world.store.state.record, 0, 0, 3)
    assert place[0] is not None
    assert world.store.state.drafts.at(place) == drafts(3)
    for event in (on, wire.Drafted(1, 0, drafts(3))):
        world.store.dispatch(event)
    assert draft_requests(world) == [3, 2]
    # an answer to the request before is none to this one
    assert (world.store.state.drafts.found, world.store.state.drafts.pending) == (None, False)
    world.store.dispatch(off)
    assert world.store.state.drafts.at(place) is None


@pytest.mark.parametrize(
    ("ends", "wanted"),
    [
        (Died(1, "gone"), True),
        (wire.Failed("step", "a fault", ""), True),
        (e.Revive(), True),
        (wire.Rejected("no", "Draft"), False),
    ],
)
def test_no_drafts_are_expected_of_an_engine_that_failed_or_refused(ends: e.SessionEvent, wanted: bool) -> None:
    world = started(seeks(0), e.WantDrafts(overlay=True, entropy=True))
    assert world.store.state.drafts.pending
    world.store.dispatch(ends)
    assert (world.store.state.drafts.pending, world.store.state.drafts.wanted) == (False, wanted)


def test_another_model_is_asked_for_until_the_person_has_been_asked() -> None:
    world = World(WatchOptions(CAP, BAD, steps=9, length=4))
    for event in (e.Start(), wire.Hello(CATALOGUE), wire.Failed("load", "bad is no checkpoint", "")):
        world.store.dispatch(event)
    assert world.store.state.needs_model == "bad is no checkpoint"
    world.store.dispatch(e.Tick(1))
    assert world.store.state.needs_model == "bad is no checkpoint"
    world.store.dispatch(e.PickerOpened())
    assert world.store.state.needs_model is None


def test_a_move_is_another_step_or_a_run_that_plays_again() -> None:
    world = started()
    for _ in range(3):
        world.grow()
    world.store.dispatch(e.Tick(0))
    moves = [world.store.state.moves]
    for change in (
        lambda player: playing.seek(player, 1), playing.toggle, lambda player: playing.faster(player, 1),
        playing.toggle, playing.forward,
    ):  # fmt: skip
        world.store.dispatch(e.Move(change(world.store.state.player)))
        moves.append(world.store.state.moves)
    # a pause and another speed are none
    assert np.diff(moves).tolist() == [1, 1, 0, 0, 1]


def test_a_run_that_an_ended_engine_had_begun_is_shown_as_the_recording_has_it() -> None:
    world = started(e.Load(BAD), wire.Ready(model(BAD)))
    record = Trace(RunStart(TOKENS, TOKENS > 0, 9, 0))
    runs = world.store.state.runs
    world.store.dispatch(e.Adopted(record))
    state = world.store.state
    assert (state.record, state.running and state.running.choice, state.runs) == (record, BAD, runs + 1)


def test_where_the_last_run_is_is_not_shown_over_another_line() -> None:
    world = started(e.RunLeft("Run 1 is in run.remdm"))
    assert world.store.state.notice.text.startswith("Run 1 is in run.remdm")
    for event in (e.ShowNotice(Notice("hm", "hint")), e.RunLeft("Run 2")):
        world.store.dispatch(event)
    assert world.store.state.notice.text == "hm"


def test_a_recording_that_could_not_be_closed_is_why_the_session_failed() -> None:
    world = started(e.Close())
    assert world.store.state.failure is None
    world.store.dispatch(e.CloseFailed("No space left on device"))
    assert world.store.state.failure == "The recording is incomplete: No space left on device"


def test_panes_that_are_closed_end_the_notices_of_them() -> None:
    world = started(e.AddPane(MDLM), e.ShowNotice(Notice("1 of 2 panes fit")))
    assert world.store.state.notice.text == "1 of 2 panes fit"
    world.store.dispatch(e.ClosePanes())
    assert world.store.state.notice == Notice()


def test_a_failure_that_still_holds_returns_from_under_a_hint() -> None:
    world = started(Died(1, "gone"))
    died = world.store.state.notice
    for event in (e.ShowNotice(Notice("Replay only", "hint")), e.Select(2)):
        world.store.dispatch(event)
    assert world.store.state.notice == died
    assert died.error
    world.store.dispatch(e.Dismiss())
    assert world.store.state.notice == Notice()


def test_an_expected_clamp_is_no_failure_and_several_laws_of_a_step_share_the_line() -> None:
    world = started(wire.Broken(1, 0, Violation(EXPECTED, 1, "sigma > sigma_max", "clamped", ())))
    assert world.store.state.notice.text == ""
    for law in ("range", "sigma"):
        world.store.dispatch(wire.Broken(1, 0, Violation(law, 1, "a <= b", "too much", ())))
    notice = world.store.state.notice
    assert (notice.severity, notice.text, notice.more) == ("failure", "range at step 1: a <= b - too much", 1)


def test_a_file_that_cannot_be_loaded_ends_the_notices_of_its_last_version() -> None:
    world = started(wire.FileLoaded("mine.py", "0", CATALOGUE[0]))
    assert "Reloaded mine.py" in world.store.state.notice.text
    world.store.dispatch(wire.StrategyFailed(1, 0, 1, -1, "SyntaxError", ""))
    assert world.store.state.notice == Notice()


def test_the_result_depends_on_the_arguments_alone() -> None:
    world = World(WatchOptions(CAP, GOOD, steps=9, length=4))
    world.store.dispatch(e.Start())
    world.store.dispatch(wire.Hello(CATALOGUE))
    state = world.store.observe()
    ready = wire.Ready(model(GOOD))
    first, second = reduce(state, ready), reduce(state, ready)
    assert first == second
    assert state.phase != first[0].phase


@pytest.mark.parametrize(
    ("phase", "event", "then"),
    [
        (Recomputing, wire.Resumed(1, ARRAY), Live),
        (Recomputing, Diverged(), EngineFailed),
        (Live, Died(1, "gone"), Dead),
        (Live, Unwritten(OSError("full")), EngineFailed),
        (Live, wire.Failed("step", "a fault", ""), Live),
        (Live, wire.Failed("load", "an answer that is late", ""), Live),
        (Live, wire.Resumed(1, ARRAY), Live),
        (Dead, wire.Resumed(1, ARRAY), Dead),
        (Dead, Unwritten(OSError("full")), Dead),
        (Dead, e.Revive(), LoadingModel),
        (LoadingModel, wire.Resumed(1, ARRAY), LoadingModel),
        (LoadingModel, e.Cancel(), EngineFailed),
        (Starting, e.Restart(1), Starting),
        (Recomputing, e.Restart(1), Starting),
        (Recomputing, e.Cancel(), Dead),
        (EngineFailed, e.Load(GOOD), LoadingModel),
        (Live, e.Cancel(), Live),
    ],
)
def test_the_way_from_phase_to_phase(phase: type, event: e.SessionEvent, then: type) -> None:
    world = World(WatchOptions(CAP, GOOD, steps=9, length=4))
    way: dict[type, list[e.SessionEvent]] = {
        LoadingModel: [],
        Starting: [wire.Ready(model(GOOD))],
        Live: [wire.Ready(model(GOOD)), wire.Began(1, ARRAY, ARRAY, 9, 0)],
    }
    way[Dead] = [*way[Live], Died(1, "gone")]
    way[EngineFailed] = [*way[Live], Unwritten(OSError("full"))]
    way[Recomputing] = [*way[Dead], e.Revive(), wire.Ready(model(GOOD))]
    for one in (e.Start(), wire.Hello(CATALOGUE), *way[phase]):
        world.store.dispatch(one)
        world.grow()
    assert isinstance(world.store.state.phase, phase)
    world.store.dispatch(event)
    assert isinstance(world.store.state.phase, then)


def test_only_the_answer_for_the_model_that_was_picked_last_counts() -> None:
    world = World(WatchOptions(CAP, BAD, steps=9, length=4))
    for event in (e.Start(), wire.Hello(CATALOGUE), e.Load(GOOD)):
        world.store.dispatch(event)
    world.store.dispatch(e.Load(GOOD))
    for answer in (wire.Failed("load", "bad is no checkpoint", ""), wire.Ready(model(GOOD))):
        world.store.dispatch(answer)
        assert isinstance(world.store.state.phase, LoadingModel)
    world.store.dispatch(wire.Ready(model(GOOD)))
    assert world.store.state.phase == Starting(loaded=True)
    assert world.store.state.arriving is not None
    assert world.store.state.arriving.choice == GOOD


def test_a_branch_gone_to_while_the_record_is_computed_again_is_the_one_that_is_continued() -> None:
    world = World(WatchOptions(CAP, GOOD, steps=9, length=4, paused=True))
    for event in (
        e.Start(),
        wire.Hello(CATALOGUE),
        wire.Ready(model(GOOD)),
        wire.Began(1, ARRAY, ARRAY, 9, 0),
    ):
        world.store.dispatch(event)
    for _ in range(3):
        world.grow()
    for event in (
        e.Tick(0),
        e.BranchOff(),
        e.Revive(),
        wire.Ready(model(GOOD)),
        e.ShowBranch(0),
        wire.Resumed(1, ARRAY),
    ):
        world.store.dispatch(event)
    started = world.seen[-1]
    assert isinstance(world.store.state.phase, Recomputing)
    assert isinstance(started, c.BeginRun)
    assert (started.branch, started.record) == (0, world.records[0])


def started(*events: e.SessionEvent, where: str = "") -> World:
    """Return a world with a paused run of GOOD on screen, after some more events."""
    world = World(WatchOptions(CAP, GOOD, steps=9, length=4, paused=True, where=where))
    start = (e.Start(), wire.Hello(CATALOGUE), wire.Ready(model(GOOD)), wire.Began(1, ARRAY, ARRAY, 9, 0))
    for event in start:
        world.store.dispatch(event)
    assert world.store.state.live
    world.seen = []
    for event in events:
        world.store.dispatch(event)
    return world


def test_a_restart_after_another_model_refused_the_run_loads_the_model_on_screen() -> None:
    world = started(e.Load(BAD), wire.Ready(model(BAD)), wire.Failed("begin", "too short", ""))
    assert isinstance(world.store.state.phase, EngineFailed)
    world.seen = []
    world.store.dispatch(e.Restart(1))
    assert [one for one in world.seen if isinstance(one, c.OpenModel | c.BeginRun)] == [c.OpenModel(GOOD)]


def test_a_restart_while_another_models_run_begins_keeps_that_model() -> None:
    world = started(e.Load(BAD), wire.Ready(model(BAD)))
    world.seen = []
    world.store.dispatch(e.Restart(1))
    state, (_, begins) = world.store.state, world.seen
    assert state.phase == Starting(loaded=True)
    assert state.arriving is not None
    assert state.arriving.choice == BAD
    assert isinstance(begins, c.BeginRun)
    assert begins.run.seed == 1


def test_an_edit_is_shown_as_soon_as_its_frame_has_come() -> None:
    world = started()
    world.grow()
    world.store.dispatch(e.Tick(0))
    world.store.dispatch(e.Move(playing.seek(world.store.state.player, 1)))
    world.store.dispatch(e.EditCanvas(Edit("lock", 0, 0)))
    assert world.store.state.lead == 2
    world.store.dispatch(e.Tick(0))
    assert (world.store.state.position, world.store.state.lead) == (1, 2)
    world.grow()
    world.store.dispatch(e.Tick(0))
    assert (world.store.state.position, world.store.state.lead) == (2, 0)


@pytest.mark.parametrize(("permanent", "phase"), [(True, Dead), (False, Lost)])
def test_a_remote_engine_is_tried_again_unless_that_would_fail_alike(permanent: bool, phase: type) -> None:
    world = started(Died(1, "another protocol", permanent=permanent), where="gpu")
    assert isinstance(world.store.state.phase, phase)


def test_a_branch_comes_back_with_the_settings_that_it_was_left_with() -> None:
    world = started()
    world.grow()
    for event in (e.Tick(0), e.BranchOff(), e.TurnKnob("top_p", 0.5), e.ShowBranch(0)):
        world.store.dispatch(event)
    assert (world.store.state.branch, world.store.state.settings.top_p) == (0, CAP.top_p)
    world.store.dispatch(e.ShowBranch(1))
    assert (world.store.state.branch, world.store.state.settings.top_p) == (1, 0.5)


def stepped(steps: int = 1, *events: e.SessionEvent) -> World:
    """Return a world whose paused view is at the end of a record of `steps` steps, after some more events."""
    world = started()
    for _ in range(steps):
        world.grow()
    world.store.dispatch(e.Tick(0))
    for event in (e.Move(playing.seek(world.store.state.player, steps)), *events):
        world.store.dispatch(event)
    return world


def seek(world: World, position: int) -> None:
    world.store.dispatch(e.Move(playing.seek(world.store.state.player, position)))


def test_a_knob_forks_in_the_past_alone() -> None:
    world = stepped(2, e.TurnKnob("top_p", 0.5))
    assert isinstance(world.seen[-1], c.SendSettings)
    assert len(world.tree) == 1
    seek(world, 1)
    world.store.dispatch(e.TurnKnob("top_p", 0.4))
    assert world.tree[1:] == [Branch(1, 0, 1)]


def test_a_branch_begins_under_the_settings_of_its_step() -> None:
    world = stepped(2, e.TurnKnob("top_p", 0.5))
    seek(world, 0)
    world.store.dispatch(e.BranchOff())
    assert next(one.settings for one in world.seen if isinstance(one, c.ForkRecording)) == CAP


def test_the_branch_to_compare_with_is_never_the_one_on_screen() -> None:
    world = stepped(1, e.BranchOff(), e.Compare(0), e.ShowBranch(0))
    assert (world.store.state.branch, world.store.state.branches.against) == (0, 1)


def test_no_step_is_requested_before_the_engine_has_confirmed_the_branch() -> None:
    world = stepped(1, e.BranchOff())
    world.seen = []
    world.store.dispatch(e.Tick(1))
    assert not world.seen
    world.store.dispatch(wire.Switched(1, 1, 1))
    world.store.dispatch(e.Tick(1))
    assert [type(one) for one in world.seen] == [c.Request]


def test_breakpoints_are_checked_where_the_view_has_moved_alone() -> None:
    world = stepped(2, e.Tick(1), e.Tick(1))
    assert not any(isinstance(one, c.CheckBreakpoints) for one in world.seen)
    seek(world, 0)
    world.store.dispatch(e.Move(playing.toggle(world.store.state.player)))
    world.store.dispatch(e.Tick(1))
    assert c.CheckBreakpoints(0) in world.seen


def test_breakpoints_are_sent_to_the_engine_and_their_numbers_are_not_reused() -> None:
    world = started(e.NewBreakpoint("step 1"), e.NewBreakpoint("step 2"), e.RemoveBreakpoint(2))
    for event in (e.NewBreakpoint("step 3"), e.ToggleBreakpoint(1)):
        world.store.dispatch(event)
    one, three = Breakpoint(1, "step 1"), Breakpoint(3, "step 3")
    assert world.store.state.breakpoints.listed == (replace(one, on=False), three)
    sent = [command for command in world.seen if isinstance(command, c.SetBreakpoint | c.ClearBreakpoint)]
    assert sent[:1] == [c.SetBreakpoint(one)]
    assert sent[2:] == [c.ClearBreakpoint(2), c.SetBreakpoint(three), c.SetBreakpoint(replace(one, on=False))]


def test_a_prediction_is_requested_once_and_ends_with_the_selection() -> None:
    world = stepped(2, e.TogglePrediction())
    assert not any(isinstance(one, c.RequestPrediction) for one in world.seen)
    for event in (e.Select(1), e.TogglePrediction()):
        world.store.dispatch(event)
    at = world.store.state.position
    assert [one for one in world.seen if isinstance(one, c.RequestPrediction)] == [c.RequestPrediction(0, 1, at)]
    assert world.store.state.inspection.pending
    prediction = predicted(at)
    world.store.dispatch(wire.Looked(1, 0, prediction))
    assert world.store.state.inspection == Inspection(1, shows_prediction=True, prediction=prediction)
    world.store.dispatch(e.Select(2))
    assert not world.store.state.inspection.shows_prediction


def test_what_was_found_at_a_step_is_closed_there_and_forgotten_with_its_run() -> None:
    world = stepped(2, e.Tick(1))
    violation = Violation(EXPECTED, world.store.state.position, "f", "m", ())
    world.store.dispatch(wire.Broken(1, 0, violation))
    state = world.store.state
    assert state.findings.at(0, state.position) == (violation,)
    world.store.dispatch(e.Dismiss())
    assert world.store.state.findings.at(0, state.position) == ()
    assert state.findings.at(0, state.position) == (violation,)
    world.store.dispatch(e.Restart(0))
    world.link = Trace(RunStart(TOKENS, TOKENS > 0, 9, 0))
    world.store.dispatch(wire.Began(2, ARRAY, ARRAY, 9, 0))
    assert world.store.state.findings == Findings()


def test_what_an_engine_owed_is_forgotten_when_it_has_died() -> None:
    world = stepped(1, e.EditCanvas(Edit("lock", 0, 0)), e.BranchOff(), Died(1, "gone"))
    assert world.store.state.lead == 0
    assert not world.store.state.branches.switching


def test_a_model_is_loaded_with_the_seed_that_was_requested_by_a_living_engine() -> None:
    world = stepped(1, e.Load(GOOD, 2))
    assert world.store.state.seed == 2
    assert not any(isinstance(one, c.Relaunch) for one in world.seen)
    world.store.dispatch(Died(1, "gone"))
    world.store.dispatch(e.Load(GOOD))
    assert any(isinstance(one, c.Relaunch) for one in world.seen)


def test_a_strategy_that_fails_at_the_first_step_leads_the_view_there() -> None:
    world = stepped(2, wire.StrategyFailed(1, 0, 1, 0, "bad", "line 3"))
    assert world.store.state.position == 0


def test_a_model_that_has_changed_does_not_continue_the_record() -> None:
    world = World(WatchOptions(CAP, GOOD, steps=9, length=4))
    first, second = (replace(model(GOOD), fingerprint=text) for text in ("first", "second"))
    for event in (e.Start(), wire.Ready(first), wire.Began(1, ARRAY, ARRAY, 9, 0), e.Revive(), wire.Ready(second)):
        world.store.dispatch(event)
    assert isinstance(world.store.state.phase, EngineFailed)
    assert not world.store.state.loaded


def test_the_end_of_another_branch_does_not_end_the_one_on_screen() -> None:
    world = stepped(2, e.BranchOff(), wire.Finished(1, 7))
    assert not world.store.state.player.ended
    world.store.dispatch(wire.Finished(1, world.store.state.branch))
    assert world.store.state.player.ended


def test_a_law_stops_each_run_once() -> None:
    world = stepped(2, e.Tick(1))
    law = Violation("keeps the quota", world.store.state.position, "f", "m", ())
    for _ in range(2):
        world.store.dispatch(e.Move(playing.toggle(world.store.state.player)))
        world.store.dispatch(wire.Broken(1, 0, law))
    assert world.store.state.player.playing
    world.store.dispatch(e.Restart(0))
    world.link = Trace(RunStart(TOKENS, TOKENS > 0, 9, 0))
    world.store.dispatch(wire.Began(2, ARRAY, ARRAY, 9, 0))
    world.store.dispatch(e.Move(replace(world.store.state.player, playing=True)))
    world.store.dispatch(wire.Broken(2, 0, msgspec.structs.replace(law, step=0)))
    assert not world.store.state.player.playing


def test_a_breakpoint_holds_the_view_though_an_edit_was_under_way() -> None:
    world = stepped(3, e.EditCanvas(Edit("lock", 0, 0)))
    assert world.store.state.lead
    world.store.dispatch(e.BreakpointsHit((Hit(1, "step 1", "step 1", 1, (0,), ()),), 0))
    world.grow()
    world.store.dispatch(e.Tick(0))
    assert world.store.state.position == 1


def test_a_new_engine_has_all_its_tries() -> None:
    world = stepped(1)
    state = replace(world.store.observe(), retries=Retries(3, 1))
    assert reduce(state, e.Revive())[0].retries == Retries()


def test_a_late_end_of_the_last_run_does_not_end_the_next() -> None:
    world = stepped(2, e.Restart(1), wire.Finished(1, 0))
    assert not world.store.state.player.ended


def test_a_request_settles_what_the_clock_owes() -> None:
    world = stepped(1)
    world.store.dispatch(e.Move(replace(world.store.state.player, playing=True, speed=1.0)))
    world.store.dispatch(e.Tick(1))
    assert isinstance(world.seen[-1], c.Request)
    assert world.store.state.player.due == 0


def test_panes_wait_for_the_shortest_and_come_back_in_the_next_run() -> None:
    world = stepped(2, e.AddPane(MDLM))
    assert world.store.state.panes.unanswered == (1,)
    world.store.dispatch(wire.Switched(1, 1, 0))
    state = world.store.observe()
    assert (state.panes.unanswered, state.recorded) == ((), 0)
    world.store.dispatch(e.Restart(0))
    assert world.store.state.panes.next_settings == (MDLM,)


def test_tries_are_counted_until_a_step_is_recorded() -> None:
    retries, waits = Retries(), []
    for recorded in (3, 3, 3, 4):
        retries, lost = next_try(retries, "gone", recorded)
        assert lost is not None
        waits.append(lost.wait)
    assert waits == [1.0, 2.0, 4.0, 1.0]


def uneven(first: int) -> World:
    """Return a world with two panes, `first` steps and one step long, at a breakpoint after that step."""
    world = stepped(first, e.AddPane(MDLM), wire.Switched(1, 1, 0))
    world.records[1].append(frame(0, MDLM))
    for event in (e.Tick(0), e.BreakpointsHit((Hit(1, "step 1", "step 1", 1, (0,), ()),), 1)):
        world.store.dispatch(event)
    assert world.store.observe().going == (first, 1)
    return world


@pytest.mark.parametrize("past", [False, True])
def test_the_shorter_pane_catches_up_by_one_step_after_a_breakpoint(past: bool) -> None:
    world = uneven(2)
    if past:
        seek(world, 0)
        world.store.dispatch(e.Tick(0))
        assert world.seen[-1] == c.Request(playing.Demand(), 0)
        seek(world, 1)
    world.seen = []
    world.store.dispatch(e.Tick(0))
    assert world.seen == [c.Request(playing.Demand(1), 3)]
    assert world.store.state.lead == 2


def test_panes_two_steps_apart_are_not_levelled_once_they_are_one_apart() -> None:
    world = uneven(3)
    world.store.dispatch(e.Tick(0))
    world.records[1].append(frame(1, MDLM))
    world.store.dispatch(e.Tick(0))
    seek(world, 2)
    world.seen = []
    world.store.dispatch(e.Tick(0))
    assert world.seen == [c.Request(playing.Demand(), 0)]


def test_a_refused_pane_gives_its_focus_back() -> None:
    world = stepped(1, e.AddPane(MDLM), e.FocusPane(1), wire.Rejected("no", "Fork"))
    assert (world.store.state.panes.panes, world.store.state.branch) == ((), 0)


def test_panes_have_ended_when_all_have() -> None:
    world = stepped(1, e.AddPane(MDLM), wire.Switched(1, 1, 0), wire.Finished(1, 0))
    assert not world.store.state.player.ended
    world.store.dispatch(wire.Finished(1, 1))
    assert world.store.state.player.ended


def test_a_record_on_screen_keeps_the_application_open() -> None:
    assert not stepped(1, Died(1, "gone")).store.state.over
    assert not stepped(1, Unwritten(OSError("full"))).store.state.over


def test_another_engine_owes_no_answers_of_the_last_one() -> None:
    world = started(e.Load(GOOD), e.Load(GOOD))
    assert world.store.state.phase.answers == 2  # type: ignore[union-attr]
    world.store.dispatch(e.Revive())
    world.store.dispatch(wire.Ready(model(GOOD)))
    assert isinstance(world.store.state.phase, Recomputing)


# -- the whole session


class Frail(ScriptedLink):
    """A link whose engine loads one model alone, and whose records are watched."""

    def open(self, choice: ModelChoice) -> None:
        if choice == BAD:
            self.events.append(wire.Failed("load", "bad is no checkpoint", ""))
        else:
            super().open(choice)

    def alter(self, edit: Edit) -> None:
        if self.trace:
            super().alter(edit)
        else:
            self.events.append(wire.Rejected("not at the start", "Alter"))


def act(session: WatchSession, kind: int, n: int) -> None:
    """Do one of all the things that a person or a fault can do."""
    debug, player = session.debug, session.player
    died = Died(1, "gone")
    done = [
        lambda: session.tick(n / 10), lambda: session.tick(1.0), lambda: session.tick(0.0),
        lambda: setattr(session, "player", playing.forward(player)),
        lambda: setattr(session, "player", playing.toggle(player)),
        lambda: setattr(session, "player", playing.seek(player, n)),
        lambda: setattr(session, "player", playing.faster(player, n - 4)),
        lambda: session.notch("top_p", n - 4), lambda: session.turn("strategy", "mdlm"),
        lambda: session.restart(n % 2), session.revive, lambda: session.load((GOOD, GOOD, BAD)[n % 3]),
        session.cancel, session.check_model, lambda: session.next_sample(1),
        debug.branches.branch_off, lambda: debug.branches.turn(1 if n % 2 else -1), debug.branches.compare,
        debug.branches.first_difference, debug.branches.rows, debug.panes.open,
        lambda: debug.panes.panes and debug.panes.close(),
        lambda: debug.panes.panes and debug.panes.turn(1),
        lambda: debug.panes.add(MDLM), lambda: debug.alter("lock", n % 4), lambda: debug.alter("mask", n % 4),
        lambda: debug.add_breakpoint(f"step {n + 1}"),
        lambda: session.link.events.append(died), lambda: session.link.events.append(died),
        lambda: session.link.events.append(Unwritten(OSError("full"))),
        lambda: session.link.events.append(wire.Failed("step", "a fault", "")),
        lambda: session.link.events.append(wire.Rejected("no", ("Switch", "Alter", "Look")[n % 3])),
    ]  # fmt: skip
    # a refusal is a sentence for the person, never a fault
    with suppress(ValueError):
        done[kind % len(done)]()


def settled(session: WatchSession) -> None:
    for _ in range(20):
        session.tick(0.0)


@settings(QUICK, max_examples=30)
@given(
    WALK,
    st.sampled_from(["", "gpu"]),
    st.sampled_from([(), (MDLM,)]),
    st.sampled_from(["R", "r", "m"]),
)
def test_random_actions_lose_no_frame_and_every_key_leads_back(
    walk: bytes, where: str, compare: tuple[Settings, ...], key: str
) -> None:
    options = WatchOptions(CAP, GOOD, steps=6, length=4, paused=True, where=where, compare=compare)
    session = WatchSession(options, Frail, RunRecording())
    session.start()
    settled(session)
    assert session.live
    run, kept = 0, dict[int, list[int]]()
    for kind, n, _ in numbers(walk):
        act(session, kind, n)
        assert not session.state.over
        run_recording = session.recording
        now = {branch.id: calls(run_recording.record(branch.id)) for branch in run_recording.branches}
        if run_recording._runs == run:
            assert all(now[branch][: len(before)] == before for branch, before in kept.items())
        run, kept = run_recording._runs, now
        assert session.player.position <= session.player.recorded
    settled(session)
    {"R": session.revive, "r": lambda: session.restart(1), "m": lambda: session.load(GOOD)}[key]()
    settled(session)
    assert session.live, session.phase
    session.player = playing.forward(replace(session.player, position=session.player.recorded, playing=False))
    settled(session)
    session.close()
    assert session.link.closed


def calls(record: Any) -> list[int]:
    return [record.frame(position).network_calls for position in range(1, len(record) + 1)]
