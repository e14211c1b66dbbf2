"""How steps are granted, renewed, spent and taken back: pure, without an engine."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from engine.debug.credit import CreditWindow
from engine.messages import Credit


def test_what_is_demanded_is_granted_once():
    window, sent = CreditWindow().demand(3, renew=False)
    assert sent == [Credit(3)]
    assert window.demand(3, renew=False) == (window, [])
    window, sent = window.stepped()
    assert (window.steps, sent) == (2, [])
    assert window.demand(3, renew=False)[1] == [Credit(1)]


def test_credit_is_renewed_by_halves():
    window, sent = CreditWindow().demand(8, renew=True)[0], []
    for _ in range(8):
        window, messages = window.stepped()
        sent.append(messages)
    assert sent == [[], [], [], [Credit(4)], [], [], [], [Credit(4)]]


def test_a_pause_takes_back_what_was_to_be_renewed():
    window, _ = CreditWindow().demand(8, renew=True)
    window, sent = window.demand(1, renew=False)
    assert sent == [Credit(-8), Credit(1)]
    assert window.steps == 1
    assert window.stepped()[1] == []


def test_after_a_stop_nothing_is_granted_before_it_is_acknowledged_and_then_it_is_named():
    window, _ = CreditWindow().demand(8, renew=True)
    window = window.stopped(5, unacknowledged=True)
    assert window.steps == 0
    assert window.demand(8, renew=True) == (window, [])
    assert window.stepped() == (window, [])
    assert window.acknowledge().demand(8, renew=True)[1] == [Credit(8, 5)]


def test_a_stop_of_an_older_run_holds_nothing_up_but_is_named():
    assert CreditWindow().stopped(2).demand(1, renew=False)[1] == [Credit(1, 2)]


def test_the_engine_ignores_credit_from_before_its_stop_and_takes_back_what_is_left():
    credit = CreditWindow().granted(Credit(3)).spent()
    assert (credit.steps, credit.granted(Credit(-5)).steps, credit.void().steps) == (2, 0, 0)
    stopped = credit.stopped()
    assert (stopped.steps, stopped.granted(Credit(4, 0)).steps, stopped.granted(Credit(4, 1)).steps) == (0, 0, 4)
    assert CreditWindow().spent().steps == 0


@given(st.lists(st.sampled_from(["demand 1", "demand 3", "renew 8", "send", "step", "stop", "receive"]), max_size=80))
def test_the_terminal_never_waits_for_a_step_that_the_engine_will_not_take(moves):
    terminal, engine = CreditWindow(), CreditWindow()
    out, back = deque(), deque()
    for move in [*moves, *["send"] * 300, *["receive"] * 80, *["send"] * 300]:
        messages = []
        match move.split():
            case ["demand", steps]:
                terminal, messages = terminal.demand(int(steps), renew=False)
            case ["renew", steps]:
                terminal, messages = terminal.demand(int(steps), renew=True)
            case ["send"] if out:
                engine = engine.granted(out.popleft())
            case ["step"] if engine.steps:
                engine = engine.spent()
                back.append(None)
            case ["stop"] if engine.steps:
                engine = engine.spent().stopped()
                back += [None, engine.stop]
            case ["receive"] if back:
                stop = back.popleft()
                if stop is None:
                    terminal, messages = terminal.stepped()
                else:
                    terminal = terminal.stopped(stop, unacknowledged=True).acknowledge()
        out += messages
    assert engine.steps >= terminal.steps
