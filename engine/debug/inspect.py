"""The story of one position, from the recorded frames alone: its changes, their probabilities and draws."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from engine.debug.findings import Moment, Story
from engine.records import Change, Edit, Frame, Knob
from engine.sampling import rng
from engine.sampling.rng import Purpose
from engine.text.counts import counted
from engine.text.numbers import short

if TYPE_CHECKING:
    from engine.strategies import Strategy

BY_HAND = {
    "mask": "masked by hand",
    "force": "put by hand",
    "lock": "locked by hand",
    "unlock": "unlocked by hand",
    "prompt": "the prompt was changed by hand",
}
NAN = math.nan


def story(frames: Iterable[Frame], sample: int, position: int, *, seed: int, first: int = 0) -> Story:
    """Return all moments of a position in the frames of a branch, which begin with its first.

    seed and first (the number of the batch's first sample) are the run's: the uniforms are computed again from their
    addresses.  Raises ValueError for a sample or position that does not exist.
    """
    moments = []
    # the tokens before the frame, and the noise's step: clean-ups and edits throw no flips
    before: Frame | None = None
    steps = 0
    for frame in frames:
        batch, length = frame.tokens.shape
        if not (0 <= sample < batch and 0 <= position < length):
            held = f"{counted(batch, 'sample')} of {counted(length, 'position')}"
            raise ValueError(f"there is no position {position} of sample {sample}: {held}")
        if frame.edit is not None:
            if _touches(frame, before, sample, position):
                moments.append(_edited(frame, frame.edit, before, sample, position))
        elif frame.change[sample, position] in (Change.REVEALED, Change.REMASKED):
            moments.append(_changed(frame, before, sample, position, (seed, first + sample, steps)))
        steps += frame.edit is None and not frame.final
        before = frame
    return Story(sample, position, tuple(moments))


def _touches(frame: Frame, before: Frame | None, sample: int, position: int) -> bool:
    """Return whether a frame's edit has done something to the position."""
    edit = frame.edit
    assert edit is not None
    if edit.sample not in (None, sample):
        return False
    if edit.kind != "prompt":
        return edit.position == position
    was = (
        None if before is None else (before.tokens[sample, position], before.change[sample, position] == Change.LOCKED)
    )
    now = (frame.tokens[sample, position], frame.change[sample, position] == Change.LOCKED)
    return was != now if was else now[1] or frame.change[sample, position] == Change.REMASKED


def _edited(frame: Frame, edit: Edit, before: Frame | None, sample: int, position: int) -> Moment:
    change = Change(int(frame.change[sample, position]))
    # a remasked token is read from the state before
    source = before if change is Change.REMASKED and before is not None else frame
    return Moment(
        frame.index + 1, frame.t, frame.s, change, int(source.tokens[sample, position]),
        float(source.held[sample, position]), NAN, NAN, NAN, BY_HAND[edit.kind],
    )  # fmt: skip


def _changed(frame: Frame, before: Frame | None, sample: int, position: int, address: tuple[int, int, int]) -> Moment:
    """Return a step's reveal or remask; address: seed, sample number and step of its noise."""
    change = Change(int(frame.change[sample, position]))
    remasked = change is Change.REMASKED
    source = before if remasked and before is not None else frame
    token, held = int(source.tokens[sample, position]), float(source.held[sample, position])
    if frame.final:
        why = "Masked after the last step: the clean-up took the most probable token"
        return Moment(frame.index + 1, frame.t, frame.s, change, token, held, NAN, NAN, NAN, why)
    plan, other = (frame.remask, Change.HELD) if remasked else (frame.unmask, Change.MASKED)
    could = (frame.change[sample] == change) | (frame.change[sample] == other)
    chance, total = float(plan[sample, position]), float(np.where(could, plan[sample], 0).sum(dtype=np.float64))
    share = chance / total if total > 0 else NAN
    drawn = rng.uniform(rng.key(*address, Purpose.CHANGE), position)
    open_ = int(np.count_nonzero(could))
    did = int(np.count_nonzero(frame.change[sample] == change))
    strategy = _strategy(frame.settings.strategy, tuple(frame.settings.knobs.items()))
    rule = "" if strategy is None else (
        strategy.remask_rule(frame.t, _sigma_max(frame)) if remasked else strategy.reveal_rule(did, open_)
    )  # fmt: skip
    if rule and not remasked:
        # a set was chosen: nothing was left to chance
        return Moment(frame.index + 1, frame.t, frame.s, change, token, held, chance, share, drawn, rule)
    name, what = ("sigma", "remasks") if remasked else ("p(reveal)", "reveals")
    expected = f"{rule}; {total:.3g} expected" if rule else f"{total:.3g} {what} expected in this step"
    why = f"u = {short(drawn)} < {name} = {short(chance)} ({expected})"
    return Moment(frame.index + 1, frame.t, frame.s, change, token, held, chance, share, drawn, why)


def _sigma_max(frame: Frame) -> float:
    return min(1.0, (1 - frame.alpha_s) / frame.alpha_t) if frame.alpha_t > 0 else 1.0


@lru_cache(maxsize=64)
def _strategy(name: str, knobs: tuple[tuple[str, Knob], ...]) -> Strategy | None:
    """Return a strategy of the registry; None for another, and for knobs that it does not have."""
    # the terminal starts without them
    from engine.strategies import REGISTRY

    try:
        return REGISTRY[name](**dict(knobs)) if name in REGISTRY else None
    except (TypeError, ValueError):
        return None
