"""How steps are granted, renewed and taken back: pure, without an engine."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from engine.debug.credit import EngineCredit
from engine.messages import Credit
from remdm_tui.link.credit import CreditWindow


def test_what_is_demanded_is_granted_once():
    granted = CreditWindow()
    assert granted.demand(3, renew=False) == [Credit(3)]
    assert granted.demand(3, renew=False) == []
    assert granted.stepped() == []
    assert granted.outstanding == 2
    assert granted.demand(3, renew=False) == [Credit(1)]


def test_credit_is_renewed_by_halves():
    granted = CreditWindow()
    granted.demand(8, renew=True)
    sent = [granted.stepped() for _ in range(8)]
    assert sent == [[], [], [], [Credit(4)], [], [], [], [Credit(4)]]


def test_a_pause_takes_back_what_was_to_be_renewed():
    granted = CreditWindow()
    granted.demand(8, renew=True)
    assert granted.demand(1, renew=False) == [Credit(-8), Credit(1)]
    assert granted.outstanding == 1


def test_after_a_stop_nothing_is_granted_before_it_is_heard_of_and_then_it_is_named():
    granted = CreditWindow()
    granted.demand(8, renew=True)
    granted.stopped(5, held=True)
    assert granted.outstanding == 0
    assert granted.demand(8, renew=True) == []
    assert granted.stepped() == []
    granted.heard()
    assert granted.demand(8, renew=True) == [Credit(8, 5)]


def test_a_stop_of_an_older_run_holds_nothing_up_but_is_named():
    granted = CreditWindow()
    granted.stopped(2, held=False)
    assert granted.demand(1, renew=False) == [Credit(1, 2)]


def test_the_engine_ignores_credit_from_before_its_stop_and_takes_back_what_is_left():
    credit = EngineCredit().granted(3, 0).spent()
    assert (credit.steps, credit.granted(-5, 0).steps, credit.void().steps) == (2, 0, 0)
    stopped = credit.stopped()
    assert (stopped.steps, stopped.granted(4, 0).steps, stopped.granted(4, 1).steps) == (0, 0, 4)
    assert EngineCredit(0).spent().steps == 0


@given(st.lists(st.sampled_from(["demand 1", "demand 3", "renew 8", "send", "step", "stop", "receive"]), max_size=80))
def test_the_terminal_never_waits_for_a_step_that_the_engine_will_not_take(moves):
    window, engine = CreditWindow(), EngineCredit()
    out, back = deque(), deque()

    def receive():
        kind, stop = back.popleft()
        if kind == "step":
            out.extend(window.stepped())
        else:
            window.stopped(stop, held=True)
            window.heard()

    for move in [*moves, *["send"] * 300, *["receive"] * 80, *["send"] * 300]:
        match move.split():
            case ["demand", steps]:
                out.extend(window.demand(int(steps), renew=False))
            case ["renew", steps]:
                out.extend(window.demand(int(steps), renew=True))
            case ["send"] if out:
                message = out.popleft()
                engine = engine.granted(message.steps, message.stop)
            case ["step"] if engine.steps:
                engine = engine.spent()
                back.append(("step", 0))
            case ["stop"] if engine.steps:
                engine = engine.spent().stopped()
                back += [("step", 0), ("stop", engine.stop)]
            case ["receive"] if back:
                receive()
    assert engine.steps >= window.outstanding
