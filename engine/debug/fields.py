"""The names that an expression may read of a frame: [B, 1] figures of a sample and [B, L] values of its positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.records import Change, Frame
from engine.sampling.figures import FIGURES, Steps

Values = NDArray[Any]


@dataclass(frozen=True)
class Field:
    """One name: what it means and how it is read, as something that broadcasts to [B, L]."""

    doc: str
    read: Callable[[Frame], Values]
    wide: bool = False
    """one value for each position, [B, L]"""
    truth: bool = False
    """true or false, not a number"""
    event: bool = False
    """describes this step alone, where others describe the state it led to"""


def _all(value: float) -> Values:
    return np.full((1, 1), value)


def _count(change: Change) -> Callable[[Frame], Values]:
    return lambda frame: (frame.change == change).sum(-1, keepdims=True)


def _edits(frame: Frame) -> Values:
    return np.zeros(frame.tokens.shape) if frame.edit_plan is None else frame.edit_plan


def _figure(name: str) -> Callable[[Frame], Values]:
    return lambda frame: FIGURES[name].compute(Steps.of([frame]))[0].astype(np.float64)[:, None]


FIELDS: dict[str, Field] = {
    "step": Field("steps taken so far", lambda f: _all(f.index + 1)),
    "t": Field("time before the step, from 1 down to 0", lambda f: _all(f.t)),
    "s": Field("time after the step", lambda f: _all(f.s)),
    "alpha": Field("unmasked fraction expected after the step", lambda f: _all(f.alpha_s)),
    "calls": Field("sequences put through the network so far", lambda f: _all(f.network_calls)),
    "excess": Field("how far the plan left 0 to 1", lambda f: _all(f.excess)),
    "block": Field("number of the block, from 0", lambda f: _all(f.block)),
    "final": Field("whether the step was the clean-up", lambda f: np.full((1, 1), f.final), truth=True),
    "masked": Field("positions masked after the step", lambda f: f.masked.sum(-1, keepdims=True)),
    "revealed": Field("positions revealed in the step", _count(Change.REVEALED), event=True),
    "remasked": Field("positions remasked in the step", _count(Change.REMASKED), event=True),
    "edited": Field(FIGURES["edited"].doc, _count(Change.EDITED), event=True),
    "sigma": Field("largest probability of remasking", _figure("sigma")),
    "entropy": Field("of what is revealed, in nats", _figure("entropy")),
    "confidence": Field("mean probability of what is revealed", _figure("confidence")),
    "token": Field("number of the token, or its text in quotes", lambda f: f.tokens, wide=True),
    "held": Field("probability of the token when it was revealed", lambda f: f.held, wide=True),
    "change": Field("what the step did: one of the words in capitals", lambda f: f.change, wide=True, event=True),
    "unmask": Field("probability of revealing", lambda f: f.unmask, wide=True),
    "remask": Field("probability of remasking", lambda f: f.remask, wide=True),
    "edit": Field("probability of an edit", _edits, wide=True),
    "position": Field("from 0", lambda f: np.arange(f.tokens.shape[1])[None], wide=True),
}

FIELDS |= {name: Field(kind.doc, _figure(name)) for name, kind in FIGURES.items() if name not in FIELDS}

CONSTANTS: dict[str, float] = {change.name: float(change) for change in Change}
"""What `change` is compared with."""
