"""How steps are granted, renewed and taken back: pure, without an engine."""

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
