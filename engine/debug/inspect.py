"""The story of one position, from the recorded frames alone: its changes, their probabilities and draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.debug.findings import Moment, Story
from engine.records import UNKNOWN_DRAW, Change, Edit, Frame, Knob
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
TRACED = "the trace does not say why"
NAN = math.nan


class FlipChance(NamedTuple):
    """How the probability of a change is read and named."""

    plan: Callable[[Frame], NDArray[np.float32]]
    before: tuple[Change, ...]
    """the changes of positions at which it could have happened"""
    name: str
    what: str


def _edit_plan(frame: Frame) -> NDArray[np.float32]:
    return np.zeros_like(frame.remask) if frame.edit_plan is None else frame.edit_plan


KEPT = (Change.HELD, Change.REMASKED, Change.EDITED)
CHANCES = {
    Change.REVEALED: FlipChance(lambda f: f.unmask, (Change.REVEALED, Change.MASKED), "p(reveal)", "reveals"),
    Change.REMASKED: FlipChance(lambda f: f.remask, KEPT, "sigma", "remasks"),
    Change.EDITED: FlipChance(_edit_plan, KEPT, "p(edit)", "edits"),
}


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
        elif frame.change[sample, position] in CHANCES:
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
    """Return a step's reveal, remask or edit; address: seed, sample number and step of its noise."""
    change = Change(int(frame.change[sample, position]))
    remasked = change is Change.REMASKED
    source = before if remasked and before is not None else frame
    token, held = int(source.tokens[sample, position]), float(source.held[sample, position])
    if frame.final:
        why = "Masked after the last step: the clean-up took the most probable token"
        return Moment(frame.index + 1, frame.t, frame.s, change, token, held, NAN, NAN, NAN, why)
    if frame.settings.draw == UNKNOWN_DRAW:
        return Moment(frame.index + 1, frame.t, frame.s, change, token, held, NAN, NAN, NAN, TRACED)
    kind = CHANCES[change]
    plan = kind.plan(frame)[sample]
    could = np.isin(frame.change[sample], kind.before)
    chance, total = float(plan[position]), float(np.where(could, plan, 0).sum(dtype=np.float64))
    share = chance / total if total > 0 else NAN
    drawn = rng.uniform(rng.address_key(*address, Purpose.CHANGE), position)
    could_count = int(np.count_nonzero(could))
    did = int(np.count_nonzero(frame.change[sample] == change))
    rule = _rule(frame, change, did, could_count)
    if rule and change is Change.REVEALED:
        # a set was chosen: nothing was left to chance
        return Moment(frame.index + 1, frame.t, frame.s, change, token, held, chance, share, drawn, rule)
    expected = f"{rule}; {total:.3g} expected" if rule else f"{total:.3g} {kind.what} expected in this step"
    # an edit happens above the chance of a remask, which comes first
    least = float(frame.remask[sample, position]) if change is Change.EDITED else 0.0
    fell = f"{short(least)} <= " if least else ""
    why = f"{fell}u = {short(drawn)} < {kind.name} = {short(least + chance)} ({expected})"
    if change is Change.EDITED and before is not None:
        why = f"was token {int(before.tokens[sample, position])}; {why}"
    return Moment(frame.index + 1, frame.t, frame.s, change, token, held, chance, share, drawn, why)


def _sigma_max(frame: Frame) -> float:
    return min(1.0, (1 - frame.alpha_s) / frame.alpha_t) if frame.alpha_t > 0 else 1.0


def _rule(frame: Frame, change: Change, did: int, could: int) -> str:
    """Return by which rule of the strategy a position changed, `did` of `could` positions; empty if it names none."""
    strategy = _strategy(frame.settings.strategy, tuple(frame.settings.knobs.items()))
    if strategy is None or change is Change.EDITED:
        return ""
    if change is Change.REMASKED:
        return strategy.remask_rule(frame.t, _sigma_max(frame))
    return strategy.reveal_rule(did, could)


@lru_cache(maxsize=64)
def _strategy(name: str, knobs: tuple[tuple[str, Knob], ...]) -> Strategy | None:
    """Return a strategy of the registry; None for another, and for knobs that it does not have."""
    # the terminal starts without them
    from engine.strategies import REGISTRY

    try:
        return REGISTRY[name](**dict(knobs)) if name in REGISTRY else None
    except (TypeError, ValueError):
        return None
