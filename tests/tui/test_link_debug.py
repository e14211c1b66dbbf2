"""The debugger through the link, against a real engine process: what the terminal calls, and what comes back."""

import numpy as np
import pytest

from engine import wire
from engine.debug.branches import first_difference, fork_record
from engine.records import Branch, Change, Edit, RunChoice, Settings
from engine.strategies import make_strategy, values
from remdm_tui.link.process import ProcessLink
from tests import forks
from tests.tui.test_link import CAP, caught_up, start_run, wait_for
from tests.waiting import eventually

RUN = RunChoice(24, 24, batch=2, seed=5)
EAGER = Settings("remdm-cap", values(make_strategy("remdm-cap", eta=0.5)))


@pytest.fixture(scope="module")
def shared():
    made = ProcessLink(forks.engine())
    made.start()
    start_run(made)
    yield made
    made.close()


@pytest.fixture
def link(shared):
    """The process of the module with a run of its own."""
    shared.clear()
    shared.take()
    shared.begin(CAP, RUN)
    wait_for(shared, wire.Began)
    return shared


def recorded(link, count):
    eventually(lambda: len(link.trace) >= count)
    assert len(link.trace) == count


def stepped(link, count):
    link.demand(count - len(link.trace), renew=False)
    recorded(link, count)


def test_at_full_speed_the_run_stops_at_the_step_of_a_breakpoint_and_no_further(link):
    link.stop_at(7, "step 11")
    link.demand(8, renew=True)
    # the stop has taken back what was granted
    eventually(lambda: len(link.trace) >= 11 and link.outstanding == 0)
    # before the application has heard of it, it cannot go on by mistake
    assert not link.demand(8, renew=True)
    stopped = wait_for(link, wire.Stopped)
    assert [(hit.breakpoint, hit.text, hit.step) for hit in stopped.hits] == [(7, "step 11", 11)]
    assert (len(link.trace), link.outstanding) == (11, 0)
    assert link.demand(8, renew=True)
    wait_for(link, wire.Finished)
    assert len(link.trace) == 24


def test_branches_have_records_of_their_own_and_are_left_and_come_back_to(link):
    stepped(link, 20)
    main = link.trace
    link.fork(Branch(1, 0, 10), fork_record(main, 10), EAGER)
    switched = wait_for(link, wire.Switched)
    assert (switched.branch, switched.step, link.branch, len(link.trace)) == (1, 10, 1, 10)
    stepped(link, 20)
    other = link.trace
    assert other.frame(12).settings.knobs["eta"] == 0.5
    assert other.frame(10) is main.frame(10)
    found = first_difference(main.frame, other.frame, 20, shared=10)
    assert found is not None
    assert found.step > 10
    link.switch(0)
    assert wait_for(link, wire.Switched).step == 20
    assert link.trace is main
    link.demand(3, renew=True)
    wait_for(link, wire.Finished)
    assert (len(main), len(other)) == (24, 20)


def test_a_branch_forked_at_full_speed_loses_no_frame_of_either(link):
    link.demand(8, renew=True)
    eventually(lambda: len(link.trace) >= 6)
    main = link.trace
    link.fork(Branch(1, 0, 3), fork_record(main, 3))
    wait_for(link, wire.Switched)
    link.demand(8, renew=True)
    wait_for(link, wire.Finished)
    assert len(link.trace) == 24
    for position in range(1, len(main) + 1):
        assert np.array_equal(main.frame(position).tokens, link.trace.frame(position).tokens)


def test_an_edit_is_recorded_and_a_new_engine_goes_on_after_it(link):
    stepped(link, 12)
    tokens = link.trace.tokens(12, 1)
    position = int(np.flatnonzero(link.trace.change(12, 1) == Change.HELD)[0])
    link.alter(Edit("force", 1, position, (int(tokens[position]) + 1,)))
    recorded(link, 13)
    assert link.outstanding == 0
    link.alter(Edit("lock", 1, position))
    recorded(link, 14)
    stepped(link, 18)
    record = link.trace
    assert record.edits() == [13, 14]
    assert record.change(18, 1)[position] == Change.LOCKED
    link.begin(CAP, RUN, record, branch=4)
    wait_for(link, wire.Resumed)
    assert (link.branch, link.trace) == (4, record)
    stepped(link, 22)
    assert record.tokens(22, 1)[position] == tokens[position] + 1


def test_the_networks_prediction_of_a_position_is_requested_and_refusals_are_named(link):
    stepped(link, 10)
    link.look(1, 5, top=4)
    prediction = wait_for(link, wire.Looked).prediction
    assert (prediction.step, prediction.sample, prediction.position, len(prediction.top)) == (10, 1, 5, 4)
    assert sum(one.kept for one in prediction.top) == min(4, prediction.nucleus)
    assert len(prediction.verdicts) > 5
    link.draft(1, 10)
    drafted = wait_for(link, wire.Drafted)
    masked = np.isin(link.trace.change(10, 1), (Change.MASKED, Change.REMASKED))
    assert (drafted.branch, drafted.drafts.step) == (link.branch, 10)
    assert drafted.drafts.positions == tuple(np.flatnonzero(masked).tolist())
    link.draft(1, 5_000)
    assert wait_for(link, wire.Rejected).command == "Draft"
    link.look(5, 5)
    assert wait_for(link, wire.Rejected).command == "Look"
    link.stop_at(1, "step forty")
    assert "step takes a number of steps" in wait_for(link, wire.Rejected).reason


def test_a_file_of_ones_own_runs_and_its_error_leaves_the_run_where_it_was(link, tmp_path):
    from remdm_tui.commands import new_strategy

    path = tmp_path / "own.py"
    new_strategy.run(path)
    link.use_file(str(path))
    loaded = wait_for(link, wire.FileLoaded)
    knobs = {knob.name: knob.default for knob in loaded.strategy.knobs}
    link.begin(Settings("own", knobs), RUN)
    wait_for(link, wire.Began)
    stepped(link, 5)
    path.write_text(path.read_text().replace("return posterior(view, sigma)", "return sigma.nothing"))
    wait_for(link, wire.FileLoaded)
    link.demand(8, renew=True)
    failed = wait_for(link, wire.StrategyFailed)
    assert (failed.step, len(link.trace), link.outstanding) == (5, 5, 0)
    assert "AttributeError" in failed.reason
    assert f'File "{path}"' in failed.detail
    path.write_text(path.read_text().replace("return sigma.nothing", "return posterior(view, sigma)"))
    wait_for(link, wire.FileLoaded)
    link.demand(8, renew=True)
    wait_for(link, wire.Finished)
    assert len(link.trace) == 24
    link.use_file("")


def test_a_branch_without_a_record_is_refused():
    with pytest.raises(ValueError, match="branch 3 has no record"):
        ProcessLink().switch(3)


def test_panes_on_one_clock_have_their_own_records(link):
    stepped(link, 1)
    link.fork(Branch(1, 0, 0), fork_record(link.trace, 0), EAGER)
    wait_for(link, wire.Switched)
    link.switch(0)
    wait_for(link, wire.Switched)
    link.together((0, 1))
    wait_for(link, wire.Switched)
    one, other = link.record(0), link.record(1)
    link.demand(7, renew=False)
    eventually(lambda: len(one) + len(other) >= 8)
    caught_up(link)
    assert (len(one), len(other), link.outstanding) == (4, 4, 0)
    link.demand(8, renew=True)
    finished(link, 0, 1)
    assert (len(one), len(other)) == (24, 24)
    link.together(())
    wait_for(link, wire.Switched)


def finished(link, *branches):
    ended = set()

    def all_are():
        ended.update(event.branch for event in link.take() if isinstance(event, wire.Finished))
        return len(ended) >= len(branches)

    eventually(all_are)
    assert ended == {*branches}


def same(one, other):
    return len(one) == len(other) and all(
        np.array_equal(getattr(one.frame(i), name), getattr(other.frame(i), name), equal_nan=name == "held")
        for i in range(1, len(one) + 1)
        for name in ("tokens", "change", "held")
    )


def test_panes_are_what_each_strategy_gives_alone_and_equal_where_their_knobs_are(link):
    panes = {1: CAP, 2: EAGER, 3: Settings("dfm", values(make_strategy("dfm")))}
    for branch, settings in panes.items():
        link.fork(Branch(branch, 0, 0), fork_record(link.record(0), 0), settings)
    link.together((0, *panes))
    link.switch(0)
    link.demand(8, renew=True)
    finished(link, 0, *panes)
    records = [link.record(branch) for branch in (0, *panes)]
    assert same(records[0], records[1])
    assert not np.array_equal(records[0].tokens(20, 0), records[2].tokens(20, 0))
    for settings, record in zip((CAP, *panes.values()), records, strict=True):
        link.begin(settings, RUN)
        wait_for(link, wire.Began)
        link.demand(8, renew=True)
        wait_for(link, wire.Finished)
        assert same(link.trace, record)


def test_a_new_engine_goes_on_with_every_pane(link):
    stepped(link, 10)
    main, other = link.trace, fork_record(link.trace, 0)
    link.fork(Branch(1, 0, 0), other, EAGER)
    wait_for(link, wire.Switched)
    stepped(link, 6)
    link.configure(CAP)
    stepped(link, 9)
    link.begin(CAP, RUN, main)
    wait_for(link, wire.Resumed)
    link.recall(Branch(1, 0, 0), other, CAP)
    wait_for(link, wire.Resumed)
    link.together((0, 1))
    link.switch(0)
    link.demand(8, renew=True)
    finished(link, 0, 1)
    assert (len(main), len(other)) == (24, 24)
    assert [step for step, _ in other.settings()] == [0, 6]
    assert link.outstanding == 0


def test_a_step_of_two_panes_of_which_one_has_ended_is_one_step(link):
    stepped(link, 24)
    other = fork_record(link.trace, 0)
    link.fork(Branch(1, 0, 0), other, EAGER)
    link.together((0, 1))
    link.demand(24 + 24, renew=False, recorded=24)
    finished(link, 0, 1)
    assert (len(link.record(0)), len(other), link.outstanding) == (24, 24, 0)
