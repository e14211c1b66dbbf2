"""The informed corrector: rounds of a reveal and redraws, the ranking by leave-one-out margins, and its law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.records import Change
from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine.stats import ENOUGH, FAR_OFF, same_distribution
from tests.engine.strategies.toys import MASK, Told, dense, fast, view, where
from tests.engine.toys import RowToy

NAN = float("nan")


def test_the_least_probable_by_margin_is_redrawn_and_noise_moves_the_rank() -> None:
    """Margins: log(.6/.3) = .693, log(.1/.5) = -1.609, log(.2/.4) = -.693."""
    seen: dict[str, Any] = {"top_p": [0.6, 0.5, 0.4, NAN], "margin": [0.3, 0.1, 0.1, NAN], "t": 0.75, "s": 0.5}
    seen["current"] = [0.6, 0.1, 0.2, NAN]
    strategy = make_strategy("informed-corrector", corrections=1, gamma=0)
    plan = strategy.plan(view(strategy, [0, 1, 2, MASK], **seen))
    assert where(plan.edit) == [1]
    assert not plan.unmask.any()
    both = make_strategy("informed-corrector", corrections=1, gamma=0, k=2)
    assert where(both.plan(view(both, [0, 1, 2, MASK], **seen)).edit) == [1, 2]
    # Gumbel noise of 0, 0 and 1.5: .693 - 1 * 1.5 does not change the order, at gamma 1 of the third -.693 - 1.5 does
    noisy = make_strategy("informed-corrector", corrections=1)
    uniforms = [math.exp(-1), math.exp(-1), math.exp(-math.exp(-1.5)), 0.5]
    assert where(noisy.plan(view(noisy, [0, 1, 2, MASK], noise=uniforms, **seen)).edit) == [2]


def test_a_round_reveals_as_the_clock_says_and_then_corrects() -> None:
    """8 steps in rounds of 4: half of the masks in the first, all in the second."""
    strategy = make_strategy("informed-corrector", corrections=3)
    plans = [strategy.plan(view(strategy, [0, MASK], t=1 - i / 8, s=1 - (i + 1) / 8)) for i in range(8)]
    assert [float(plan.unmask) for plan in plans] == [0.5, 0, 0, 0, 1, 0, 0, 0]
    assert [int(plan.edit.sum()) for plan in plans if plan.edit is not None] == [0, 1, 1, 1, 0, 1, 1, 1]


def test_rounds_leave_half_the_steps_at_least_two_of_them() -> None:
    for steps, reveals in ((1, 1), (2, 2), (3, 2), (9, 2), (18, 2), (27, 3), (40, 5)):
        frames = list(Session(RowToy(), make_strategy("informed-corrector"), steps=steps, length=32, seed=1))
        assert sum(frame.count(Change.REVEALED) > 0 for frame in frames) == reveals
        assert not frames[-1].final


def test_every_revealed_position_costs_a_call() -> None:
    model = RowToy()
    frames = list(Session(model, make_strategy("informed-corrector", corrections=2), steps=9, length=12, batch=2))
    calls = 0
    for before, frame in zip([None, *frames], frames, strict=False):
        masks = np.ones((2, 12), bool) if before is None else before.masked
        calls += int(masks.any(-1).sum()) if frame.index % 3 == 0 else int((~masks).sum())
        assert frame.network_calls == calls
    assert model.encoded == calls


def test_a_redraw_does_not_see_the_token_that_it_replaces() -> None:
    """Where a token stands the network repeats it; masked it says 1, so every redraw is 1."""
    sure = [[0.0, 1.0, 0.0, 0.0, 0.0]] * 4
    model = Told(sure, [[0.0, 0.0, 1.0, 0.0, 0.0]] * 4)
    session = Session(model, make_strategy("informed-corrector", gamma=0, k=4), steps=12, length=4)
    assert next(session).count(Change.EDITED) == 0
    assert all((frame.tokens[frame.tokens != MASK] == 1).all() for frame in session)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "top_p": 0.8}], ids=str)
def test_it_steps_as_the_dense_update(settings: dict[str, Any]) -> None:
    strategy = make_strategy("informed-corrector", corrections=1)
    assert same_distribution(fast(strategy, **settings), dense(strategy, **settings)) > ENOUGH


def test_a_corrector_without_noise_is_distinguished() -> None:
    ours, theirs = (make_strategy("informed-corrector", corrections=1, gamma=gamma) for gamma in (1, 0))
    assert same_distribution(fast(ours), dense(theirs)) < FAR_OFF
