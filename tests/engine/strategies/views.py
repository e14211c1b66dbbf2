"""What a plan is shown, written by hand: one sequence, spelled as in `tests.engine.zoo`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from engine.sampling.memory import begin
from engine.strategies import Plan, Prediction, Strategy, View
from engine.strategies.base import OwnMemory


def view(
    strategy: Strategy,
    state: str,
    *,
    t: float = 1.0,
    s: float = 0.5,
    memory: OwnMemory | None = None,
    previous: dict[str, Sequence[float]] | None = None,
    vocab_size: int = 0,
    **columns: Sequence[float],
) -> View:
    """Return the view of a state: `_` is masked, `.` the prompt's or closed, all else revealed.

    columns, previous: those of the prediction and of the last one, by name.  memory: None: that before any step.
    """
    masked = torch.tensor([[letter == "_" for letter in state]])
    revealed = torch.tensor([[letter not in "_." for letter in state]])
    times = [torch.tensor([[x]], dtype=torch.float64) for x in (t, s, 1 - t, 1 - s)]
    held = torch.ones(1, len(state), dtype=torch.float64)
    initial = begin(strategy, held)
    own = memory if memory is not None else {} if initial is None else initial.own
    seen = View(*times, masked, revealed, held, prediction(state, **columns), memory=own, vocab_size=vocab_size)
    return seen if previous is None else replace(seen, previous=prediction(state, **previous))


def prediction(state: str, **columns: Sequence[float]) -> Prediction:
    """Return a prediction of which the columns named are known."""
    blank = Prediction.blank(torch.zeros(1, len(state), dtype=torch.float64))
    known = {name: torch.tensor([list(values)], dtype=getattr(blank, name).dtype) for name, values in columns.items()}
    return blank._replace(**known)


def spelled(plan: Plan, state: str) -> str:
    """Return what a plan of zeros and ones does: `+` reveals, `x` remasks, `e` edits, `-` leaves a position."""
    shape = (1, len(state))
    unmask, remask = (part.expand(shape)[0].tolist() for part in plan[:2])
    edit = [0.0] * len(state) if plan.edit is None else plan.edit.expand(shape)[0].tolist()
    assert {*unmask, *remask, *edit} <= {0.0, 1.0}
    letters = []
    for letter, reveals, forgets, edits in zip(state, unmask, remask, edit, strict=True):
        if letter == "_":
            letters.append("+" if reveals else "-")
        else:
            letters.append("x" if forgets else "e" if edits else "-")
    return "".join(letters)


def moving(states: Sequence[str]) -> list[str]:
    """Return states without those that only repeat the one before."""
    return [state for i, state in enumerate(states) if not i or state != states[i - 1]]
