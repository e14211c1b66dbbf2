"""The debugger over the wire: breakpoints, branches, edits, opinions, laws and files, as the terminal meets them."""

from __future__ import annotations

import io
import queue
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import wire
from engine.debug.laws import EXPECTED
from engine.records import Branch, Change, Edit, RunChoice, Settings
from engine.serve import Server
from engine.strategies import REGISTRY, SIMPLEX, describe, make_strategy, values
from tests.engine.test_serve import OPEN, Scripted, begin, kinds, scripted, stepped
from tests.engine.test_serve import settings as data
from tests.engine.test_strategy_files import HEAD, PLAN, touched, written
from tests.engine.toys import MASK, TextToy

STEP = "nothing"


def steps(count: int) -> list[str]:
    return [STEP] * count


def of(kind: type, replies: list[wire.Event]) -> list[Any]:
    return [event for event in replies if isinstance(event, kind)]


def test_a_breakpoint_stops_the_run_at_its_frame_and_voids_credit_that_did_not_know_of_it() -> None:
    late = [wire.Credit(5), wire.Credit(5, stop=0)]
    replies = scripted(
        OPEN, begin(steps=9), wire.Break(4, "step 3"), wire.Credit(9), *steps(3), *late, wire.Credit(2, 1), *steps(2)
    )
    assert kinds(replies)[4:] == ["Stepped"] * 3 + ["Stopped"] + ["Stepped"] * 2
    (stopped,) = of(wire.Stopped, replies)
    (hit,) = stopped.hits
    assert (stopped.stop, hit.breakpoint, hit.text, hit.message, hit.step) == (1, 4, "step 3", "3 steps are taken", 3)
    assert stepped(replies)[2].index == 2


def test_after_a_stop_the_server_waits_for_credit_that_knows_of_it() -> None:
    late = [wire.Credit(5), wire.Credit(5, stop=0)]
    script = [OPEN, begin(steps=9), wire.Break(4, "step 3"), wire.Credit(9), *steps(3), *late, wire.Credit(1, 1), STEP]
    inbox, replies = Scripted([*script, None]), []
    Server(replies.append, lambda choice, progress: TextToy(), clock=lambda: 0.0).serve(inbox)  # type: ignore[arg-type]
    assert len(stepped(replies)) == 4
    # for the first four commands, the three after the stop, and the end: it never looks while it could step
    assert inbox.waited == 8


def test_no_step_is_missed_at_full_speed() -> None:
    """With credit for all, the run stands at every step in which something is remasked, and at no other."""
    message = begin(steps=30, knobs={"eta": 0.1})
    plain = stepped(scripted(OPEN, message, wire.Credit(99), *steps(30)))
    wanted = [e.index for e in plain if (e.frame().change == Change.REMASKED).any()]
    assert 0 < len(wanted) < 30
    script: list[Any] = [OPEN, message, wire.Break(1, "remasked > 0")]
    stop = done = 0
    for index in wanted:
        script += [wire.Credit(99, stop), *steps(index + 1 - done)]
        done, stop = index + 1, stop + 1
    replies = scripted(*script)
    assert [stopped.hits[0].step - 1 for stopped in of(wire.Stopped, replies)] == wanted
    assert stepped(replies) == plain[:done]


def test_breakpoints_that_are_cleared_or_of_another_sample_do_not_stop() -> None:
    first = [wire.Break(1, "step 2"), wire.Break(2, "step 3", sample=1), wire.Break(1, "step 4")]
    replies = scripted(
        OPEN, begin(steps=9), *first, wire.Credit(9), *steps(3), wire.Clear(1), wire.Credit(9, 1), *steps(6)
    )
    assert [hit.step for stopped in of(wire.Stopped, replies) for hit in stopped.hits] == [3]
    replies = scripted(OPEN, begin(steps=4), *first, wire.Clear(), wire.Credit(9), *steps(4))
    assert of(wire.Stopped, replies) == []


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (wire.Break(1, "step forty"), "step takes a number of steps"),
        (wire.Break(1, "t.real > 1"), "'t.real' is not understood"),
        (wire.Fork(Branch(1, 0, 7)), "can only branch off at a step in 0 to 2, not 7"),
        (wire.Fork(Branch(1, 5, 1)), "there is no branch 5: choose one of 0"),
        (wire.Fork(Branch(0, 0, 1)), "there is a branch 0 already"),
        (wire.Fork(Branch(1)), "branch 1 needs a parent"),
        (wire.Fork(Branch(1, 0, 1), data("nemo")), "unknown strategy 'nemo'"),
        (wire.Fork(Branch(1, 0, 1), data(top_p=7.0)), "top_p must lie in"),
        (wire.Switch(3), "there is no branch 3"),
        (wire.Alter(Edit("mask", position=99)), "there is no position 99"),
        (wire.Look(9, 0), "there is no position 0 of sample 9"),
        (wire.Look(0, 0, step=9), "steps of this branch are 0 to 2, not 9"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_rejected_by_name_and_changes_nothing(command: wire.Command, reason: str) -> None:
    replies = scripted(OPEN, begin(steps=4), wire.Credit(2), *steps(2), command, wire.Credit(2), *steps(2))
    assert kinds(replies)[4:] == ["Stepped", "Stepped", "Rejected", "Stepped", "Stepped"]
    (rejected,) = of(wire.Rejected, replies)
    assert reason in rejected.reason
    assert rejected.command == type(command).__name__
    assert stepped(replies) == stepped(scripted(OPEN, begin(steps=4), wire.Credit(4), *steps(4)))


@pytest.mark.parametrize(
    "command", [wire.Fork(Branch(1, 0, 0)), wire.Switch(0), wire.Alter(Edit("mask")), wire.Look(0, 0)]
)
def test_without_a_run_there_is_nothing_to_debug(command: wire.Command) -> None:
    replies = scripted(OPEN, command)
    assert of(wire.Rejected, replies) == [wire.Rejected("there is no run", type(command).__name__)]


def test_a_branch_is_forked_stepped_and_left_again() -> None:
    plain = stepped(scripted(OPEN, begin(steps=9), wire.Credit(9), *steps(9)))
    fork = wire.Fork(Branch(3, 0, 2), data("remdm-cap", {"eta": 1.0}))
    replies = scripted(
        OPEN, begin(steps=9), wire.Credit(9), *steps(4), fork, wire.Credit(2), *steps(2),
        wire.Switch(0), wire.Credit(9), *steps(5),
    )  # fmt: skip
    assert [e for e in stepped(replies) if e.branch == 0] == plain
    other = [e for e in stepped(replies) if e.branch == 3]
    assert [e.index for e in other] == [2, 3]
    assert {e.settings.knobs["eta"] for e in other} == {1.0}
    assert of(wire.Switched, replies) == [wire.Switched(0, 3, 2), wire.Switched(0, 0, 4)]


def test_a_branch_without_settings_repeats_its_parent() -> None:
    replies = scripted(
        OPEN, begin(steps=6), wire.Credit(9), *steps(6), wire.Fork(Branch(1, 0, 0)), wire.Credit(9), *steps(6)
    )
    whole = stepped(replies)
    for ours, theirs in zip(whole[:6], whole[6:], strict=True):
        a, b = ours.frame(), theirs.frame()
        assert (ours.branch, theirs.branch) == (0, 1)
        assert np.array_equal(a.tokens, b.tokens)
        assert a.settings == b.settings


def test_breakpoints_and_laws_know_what_a_branch_shares() -> None:
    """`t < .5` was true before the fork, so going on from there is no news."""
    replies = scripted(
        OPEN, begin(steps=10), wire.Credit(9), *steps(9), wire.Break(1, "t < .5"), wire.Fork(Branch(1, 0, 8)),
        wire.Credit(2), *steps(2), wire.Fork(Branch(2, 0, 3)), wire.Credit(9), *steps(4),
    )  # fmt: skip
    assert [(stopped.branch, stopped.hits[0].step) for stopped in of(wire.Stopped, replies)] == [(2, 7)]
    assert of(wire.Broken, replies) == []


def test_an_edit_is_a_frame_of_the_record_without_credit() -> None:
    force, lock = Edit("force", 1, 4, (2,)), Edit("lock", 1, 4)
    replies = scripted(
        OPEN, begin(steps=6), wire.Credit(2), *steps(2), wire.Alter(force), wire.Alter(lock), wire.Credit(9), *steps(4)
    )
    frames = [event.frame() for event in stepped(replies)]
    assert [frame.edit for frame in frames] == [None, None, force, lock, None, None, None, None]
    assert [frame.index for frame in frames] == list(range(8))
    assert all(frame.tokens[1, 4] == 2 for frame in frames[2:])


@pytest.mark.parametrize("at", range(1, 9))
def test_a_run_with_edits_goes_on_after_any_frame_as_if_it_had_never_stopped(at: int) -> None:
    edits = {2: Edit("force", 1, 4, (2,)), 3: Edit("lock", 1, 4)}
    script: list[Any] = [wire.Credit(2), *steps(2), *map(wire.Alter, edits.values()), wire.Credit(9), *steps(4)]
    whole = stepped(scripted(OPEN, begin(steps=6), *script))
    past = tuple((i, edit) for i, edit in edits.items() if i < at)
    resumed = wire.Begin(0, data(), begin(steps=6).choice, at, ((0, data()),), past, branch=5)
    later: list[Any] = [wire.Alter(edits[i]) if i in edits else STEP for i in range(at, 8)]
    credit = [wire.Credit(1) for _ in later]
    replies = scripted(OPEN, resumed, *steps(at), *(x for pair in zip(credit, later, strict=True) for x in pair))
    assert len(stepped(replies)) == 8 - at
    for ours, theirs in zip(stepped(replies), whole[at:], strict=True):
        assert ours.branch == 5
        assert np.array_equal(ours.frame().tokens, theirs.frame().tokens)
        assert ours.frame().edit == theirs.frame().edit


def test_while_steps_are_computed_again_the_debugger_waits() -> None:
    resumed = wire.Begin(0, data(), begin(steps=6).choice, 3, ((0, data()),))
    replies = scripted(
        OPEN, resumed, STEP, wire.Alter(Edit("mask")), wire.Break(1, "step 4"), *steps(2), wire.Credit(1), STEP
    )
    assert kinds(replies)[4:] == ["Rejected", "Resumed", "Stepped", "Stopped"]


def test_the_networks_prediction_arrives_and_takes_no_step() -> None:
    replies = scripted(OPEN, begin(steps=6), wire.Credit(2), *steps(2), wire.Look(1, 3, top=2), wire.Look(1, 3, step=0))
    one, early = (event.prediction for event in of(wire.Looked, replies))
    assert (one.step, one.sample, one.position, len(one.top)) == (2, 1, 3, 2)
    assert {verdict.strategy for verdict in one.verdicts} == {*REGISTRY, *SIMPLEX}
    assert (early.step, early.masked) == (0, True)


def test_a_law_that_is_broken_is_reported_and_the_run_goes_on() -> None:
    wide = wire.Begin(0, data("forward-backward"), RunChoice(4, length=60, batch=2))
    replies = scripted(OPEN, wide, wire.Credit(9), *steps(6))
    assert kinds(replies)[4:] == [*["Stepped"] * 4, "Broken", "Stepped", "Finished"]
    assert {event.violation.law for event in of(wire.Broken, replies)} == {EXPECTED}


class Emptied(Scripted):
    """An inbox that is empty whenever the server can step."""

    def get(self, block: bool = True, timeout: float | None = None) -> wire.Command | None:
        if not block:
            raise queue.Empty
        return self.script.pop(0)  # type: ignore[return-value]


PANES = {"remdm-cap": {"eta": 0.3}, "mdlm": {}, "dfm": {}}


def compared(*script: Any, inbox: type[Scripted] = Scripted) -> list[wire.Event]:
    """Three branches of one run from its start, a strategy each, stepped in turn."""
    replies: list[wire.Event] = []
    first = wire.Begin(0, data("remdm-cap", PANES["remdm-cap"]), RunChoice(8, length=12, batch=2, seed=3))
    forks = [wire.Fork(Branch(i, 0, 0), data(name, knobs)) for i, (name, knobs) in enumerate(PANES.items()) if i]
    message = inbox([OPEN, first, *forks, wire.Switch(0), wire.Together((0, 1, 2)), *script, None])
    Server(replies.append, lambda choice, progress: TextToy(), clock=lambda: 0.0).serve(message)  # type: ignore[arg-type]
    return replies


def test_branches_that_are_stepped_together_are_never_more_than_a_step_apart_and_are_those_alone() -> None:
    replies = compared(wire.Credit(99), inbox=Emptied)
    taken = {0: 0, 1: 0, 2: 0}
    for event in replies:
        if isinstance(event, wire.Stepped):
            taken[event.branch] += 1
            assert max(taken.values()) - min(taken.values()) <= 1 or taken[2] > 8
    assert {event.branch for event in of(wire.Finished, replies)} == {0, 1, 2}
    for branch, (name, knobs) in enumerate(PANES.items()):
        choice = RunChoice(8, length=12, batch=2, seed=3)
        count = sum(event.branch == branch for event in stepped(replies))
        alone = stepped(scripted(OPEN, wire.Begin(0, data(name, knobs), choice), wire.Credit(99), *steps(count)))
        ours = [event for event in stepped(replies) if event.branch == branch]
        assert [event.arrays for event in ours] == [event.arrays for event in alone]


def test_credit_counts_the_steps_of_all_panes_and_a_knob_turns_in_the_current_one() -> None:
    replies = compared(wire.Credit(4), *steps(4), wire.Configure(data("mdlm", top_p=0.5)), wire.Credit(6), *steps(6))
    assert [event.branch for event in stepped(replies)] == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    changed = [event.branch for event in stepped(replies) if event.settings.top_p == 0.5]
    assert changed == [0, 0]


def test_a_breakpoint_in_any_pane_stops_all() -> None:
    replies = compared(wire.Break(1, "step 2"), wire.Credit(99), *steps(4), wire.Credit(1, 1), STEP)
    assert [(event.branch, event.hits[0].step) for event in of(wire.Stopped, replies)] == [(0, 2), (1, 2)]


def test_panes_that_are_none_are_refused() -> None:
    replies = compared(wire.Together((0, 9)), wire.Together((1, 1)), wire.Together(()), wire.Credit(2), *steps(2))
    assert [
        "there is no branch 9" in r.reason or "not all different" in r.reason for r in of(wire.Rejected, replies)
    ] == [True] * 2
    assert [event.branch for event in stepped(replies)] == [0, 0]


class Edited(Scripted):
    """An inbox in whose script functions are run when they are reached."""

    def get(self, block: bool = True, timeout: float | None = None) -> wire.Command | None:
        while callable(self.script[0]):
            self.script.pop(0)()
        if timeout is not None and self.script[0] == STEP:
            self.script.pop(0)
            raise queue.Empty
        return super().get(block)


def edited(*script: Any) -> list[wire.Event]:
    replies: list[wire.Event] = []
    Server(replies.append, lambda choice, progress: TextToy(), clock=lambda: 0.0).serve(Edited([*script, None]))  # type: ignore[arg-type]
    return replies


def mine(**knobs: Any) -> wire.SettingsData:
    return data("mine", knobs)


def test_a_strategy_of_a_file_runs_and_is_exchanged_in_flight(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + PLAN)
    message = wire.Begin(0, mine(eta=0.9), begin(steps=9).choice)
    more = HEAD.replace(
        'knob(0.3, "share", 0, 1)', 'knob(0.3, "share", 0, 1)\n    other: float = knob(0.5, "more", 0, 1)'
    )
    replies = edited(
        OPEN, wire.UseFile(str(path)), message, wire.Credit(9), *steps(3), lambda: touched(path, more + PLAN), *steps(3)
    )
    first, second = of(wire.FileLoaded, replies)
    assert first.strategy.name == second.strategy.name == "mine"
    assert [knob.name for knob in second.strategy.knobs] == ["eta", "other"]
    assert first.digest != second.digest
    assert [event.settings.knobs for event in stepped(replies)] == [{"eta": 0.9}] * 3 + [{"eta": 0.9, "other": 0.5}] * 3
    assert kinds(replies).index("FileLoaded", 5) == kinds(replies).index("Stepped") + 3


def test_a_knob_that_the_new_file_does_not_take_falls_back_to_its_default(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + PLAN)
    message = wire.Begin(0, mine(eta=0.9), begin(steps=9).choice)
    narrow = HEAD.replace('0.3, "share", 0, 1', '0.3, "share", 0, 0.5')
    replies = edited(
        OPEN, wire.UseFile(str(path)), message, wire.Credit(9), STEP, lambda: touched(path, narrow + PLAN), STEP
    )
    assert [event.settings.knobs["eta"] for event in stepped(replies)] == [0.9, 0.3]


def test_an_exception_in_a_plan_stops_the_run_where_it_was_and_the_saved_repair_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + PLAN)
    message = wire.Begin(0, mine(), begin(steps=5).choice)
    wrong = HEAD + "    def plan(self, view):\n        return view.nothing\n"
    replies = edited(
        OPEN, wire.UseFile(str(path)), message, wire.Credit(9), STEP,
        lambda: touched(path, wrong), STEP, wire.Credit(9),
        lambda: touched(path, HEAD + PLAN + "\n"), wire.Credit(9, 1), *steps(4),
    )  # fmt: skip
    (failed,) = of(wire.StrategyFailed, replies)
    assert (failed.stop, failed.step) == (1, 1)
    assert failed.reason == "line 9: AttributeError: 'View' object has no attribute 'nothing'"
    assert f'File "{path}", line 9, in plan' in failed.detail
    assert [event.index for event in stepped(replies)] == [0, 1, 2, 3, 4]
    rescale = make_strategy("remdm-rescale", eta=0.3)
    plain = stepped(
        edited(OPEN, begin(steps=5, strategy="remdm-rescale", knobs=values(rescale)), wire.Credit(9), *steps(5))
    )
    assert [event.arrays for event in stepped(replies)] == [event.arrays for event in plain]


def test_a_file_that_is_broken_while_it_is_saved_is_reported_even_in_a_pause(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + PLAN)
    replies = edited(
        wire.UseFile(str(path)), OPEN, wire.Begin(0, mine(), begin(steps=5).choice),
        lambda: touched(path, "def"), STEP, STEP, wire.Credit(1, 1), STEP,
    )  # fmt: skip
    (failed,) = of(wire.StrategyFailed, replies)
    assert (failed.step, failed.stop) == (-1, 1)
    assert "SyntaxError" in failed.reason
    assert len(stepped(replies)) == 1


def test_a_file_that_cannot_be_used_is_reported_and_nothing_is_followed(tmp_path: Path) -> None:
    replies = edited(OPEN, begin(steps=2), wire.UseFile(str(tmp_path / "none.py")), wire.Credit(1, 1), STEP)
    assert kinds(replies)[4:] == ["StrategyFailed", "Stepped"]
    assert "No such file" in of(wire.StrategyFailed, replies)[0].reason


def test_a_strategy_that_fails_when_a_run_begins_is_a_run_that_cannot_begin(tmp_path: Path) -> None:
    grid = "    def __post_init__(self):\n        raise RuntimeError('no') if self.eta > 0.5 else None\n"
    path = written(tmp_path, HEAD + PLAN + grid)
    replies = edited(OPEN, wire.UseFile(str(path)), wire.Begin(0, mine(eta=0.9), begin(steps=5).choice), begin())
    assert kinds(replies)[-2:] == ["Failed", "Began"]


def test_breakpoints_on_tokens_that_another_model_has_not_are_reported() -> None:
    class Others(TextToy):
        @property
        def info(self) -> Any:
            from dataclasses import replace

            return replace(super().info, pieces=("x", "y", "z", "u", "v", "_"))

    models = iter([TextToy(), Others()])
    replies: list[wire.Event] = []
    script = [
        OPEN,
        wire.Break(1, "token a"),
        wire.Break(2, "step 3"),
        OPEN,
        begin(steps=9),
        wire.Credit(9),
        *steps(3),
        None,
    ]
    Server(replies.append, lambda choice, progress: next(models), clock=lambda: 0.0).serve(Scripted(script))  # type: ignore[arg-type]
    (rejected,) = of(wire.Rejected, replies)
    assert (rejected.command, "no token of the model is spelled a" in rejected.reason) == ("Break", True)
    assert [hit.breakpoint for stopped in of(wire.Stopped, replies) for hit in stopped.hits] == [2]


SMALL = st.integers(-2, 9)
EDITS = st.builds(
    Edit, kind=st.sampled_from(["mask", "force", "lock", "unlock", "prompt"]), sample=st.none() | SMALL, position=SMALL,
    tokens=st.lists(SMALL, max_size=3).map(tuple), held=st.sampled_from([1.0, 0.5, 0.0, 2.0]),
)  # fmt: skip
CHOSEN = st.sampled_from([data(), data("mdlm"), data("remdm-conf"), data("low-confidence"), data("dfm"), data("nemo")])
CONDITION = st.sampled_from(
    ["step 2", "remasked > 0", "token a", "token /b/", "masked 3", "at 4", "clamped", "drop .1", "x"]
)
COMMANDS = st.one_of(
    st.builds(wire.Begin, st.just(1), CHOSEN, st.just(RunChoice(5, 6, 2))),
    st.builds(wire.Fork, st.builds(Branch, SMALL, st.none() | SMALL, SMALL), st.none() | CHOSEN),
    st.builds(wire.Switch, SMALL),
    st.builds(wire.Together, st.lists(SMALL, max_size=3).map(tuple)),
    st.builds(wire.Alter, EDITS),
    st.builds(wire.Break, SMALL, CONDITION, st.none() | SMALL),
    st.builds(wire.Clear, st.none() | SMALL),
    st.builds(wire.Look, SMALL, SMALL, st.none() | SMALL, SMALL),
    st.builds(wire.Configure, CHOSEN),
    st.builds(wire.Credit, SMALL, st.just(1 << 30)),
)


@settings(max_examples=150)
@given(st.lists(COMMANDS, max_size=25))
def test_whatever_is_sent_in_whatever_order_is_answered_and_breaks_nothing(commands: list[wire.Command]) -> None:
    replies: list[wire.Event] = []
    inbox = Emptied([OPEN, begin(1, steps=5), *commands, None])
    Server(replies.append, lambda choice, progress: TextToy(), clock=lambda: 0.0).serve(inbox)  # type: ignore[arg-type]
    assert inbox.script == []
    assert not of(wire.Failed, [event for event in replies if "nemo" not in str(event)])
    # every branch's frames are numbered without holes, and a terminal can read them all
    stream = io.BytesIO()
    for event in replies:
        wire.write(stream, event)
    stream.seek(0)
    lengths: dict[tuple[int, int], int] = {}
    started = 0
    for event in wire.events(stream):
        match event:
            case wire.Began():
                started, lengths = started + 1, {(started + 1, 0): 0}
            case wire.Switched(_, branch, step):
                assert lengths.setdefault((started, branch), step) == step
            case wire.Stepped(branch=branch, index=index):
                assert index == lengths[started, branch]
                lengths[started, branch] += 1
                frame = event.frame()
                assert ((frame.tokens == MASK) == np.isnan(frame.held)).all()
                assert not ((frame.change == Change.LOCKED) & (frame.tokens == MASK)).any()
            case _:
                pass


def test_the_settings_of_a_run_by_a_file_are_the_files_knobs(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + PLAN)
    replies = edited(wire.UseFile(str(path)), OPEN, wire.Begin(0, mine(), begin().choice), wire.Credit(1), STEP)
    (loaded,) = of(wire.FileLoaded, replies)
    assert {knob.name: knob.default for knob in loaded.strategy.knobs} == stepped(replies)[0].settings.knobs
    assert describe(REGISTRY["mdlm"]) not in (loaded.strategy,)
    assert Settings("mine", stepped(replies)[0].settings.knobs).strategy == "mine"
