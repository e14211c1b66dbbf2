"""What must hold in every step of a correct sampler, checked against what a frame says: numpy only.

A statistical law is broken when a count lies outside a band that a correct sampler leaves in fewer than one of a
million runs, however long: step k has the share 6 / (pi (k + 1))^2 of that millionth, by a union bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.debug.claims import MASKS_LEFT, Claims, StepCounts
from engine.debug.findings import Violation
from engine.records import Change, Frame
from engine.text.counts import counted

RUNS = 1e6
"""A correct sampler breaks a law in less than one run of this number."""
SIDES = 6
"""tails: masked, revealed and remasked, each too few or too many"""
EXPECTED = "clamp"
"""The name under which a clamp is reported that follows from the strategy's own formula, and breaks no law."""
RANGE = "0 <= unmask <= 1 and 0 <= remask <= 1"
EDIT_RANGE = f"{RANGE}, 0 <= edit <= 1 - remask, and edit = 0 but at revealed tokens"
ROUNDING = 1e-5
"""Relative: probabilities of a frame are float32."""


@dataclass(frozen=True)
class LawState:
    """What the laws carry from one step to the next."""

    intact: bool = False
    """whether the masked positions are still those of 1 - alpha, but for chance"""
    broken: frozenset[str] = frozenset()
    """laws that the last step broke, so that each is reported once"""
    alpha: float = 0.0
    """expected unmasked fraction after the last step"""
    calls: int = 0
    block: int = -1


@dataclass(frozen=True)
class LawInput:
    """A frame as the laws read it; arrays bool [B, n] or float64 [B, n] over the n positions of its block."""

    frame: Frame
    claims: Claims
    last: LawState
    was_masked: NDArray[np.bool_]
    was_revealed: NDArray[np.bool_]
    """before the step, also where it has been edited since"""
    now_masked: NDArray[np.bool_]
    unmask: NDArray[np.float64]
    remask: NDArray[np.float64]
    here: slice
    """the positions of the block"""

    @property
    def surprise(self) -> float:
        """Return the nats x such that a deviation of probability exp(-x) or less breaks a law."""
        return float(nats(self.frame.index))

    @property
    def positions(self) -> int:
        return int((self.was_masked | self.was_revealed).sum())

    @property
    def clamps(self) -> bool:
        """Return whether the plan left [0, 1] where the strategy says that its formula does."""
        frame = self.frame
        last = math.isclose(frame.alpha_s, 1, abs_tol=1e-9)
        return bool(self.claims.leaves_range) and frame.excess > 0 and last


def nats(step: int | NDArray[np.integer]) -> NDArray[np.float64]:
    """Return how improbable a step's deviation must be to break a law, as -log of its probability."""
    return np.asarray(math.log(RUNS * SIDES * math.pi**2 / 6) + 2 * np.log(np.asarray(step) + 1.0))


def bernoulli_divergence(
    seen: NDArray[np.float64] | float, expected: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return KL(seen || expected) of two Bernoulli distributions in nats; times n, Chernoff's exponent for n draws."""
    a, p = np.asarray(seen, np.float64), np.asarray(expected, np.float64)
    with np.errstate(all="ignore"):
        heads = np.where(a > 0, a * np.log(a / p), 0.0)
        tails = np.where(a < 1, (1 - a) * np.log((1 - a) / (1 - p)), 0.0)
    return np.maximum(heads + tails, 0.0)


def marginal_band(
    expected: NDArray[np.float64], positions: int, steps: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (least, most) masked fraction of `positions`, batch times open ones, that breaks no law, for a chart.

    expected: 1 - alpha_s, [N]; steps: numbers of the steps from 0, [N].
    """
    limit = nats(steps) / max(positions, 1)
    inside = [expected.astype(np.float64), expected.astype(np.float64)]
    outside = [np.zeros_like(inside[0]), np.ones_like(inside[0])]
    for side in (0, 1):
        for _ in range(40):
            middle = (inside[side] + outside[side]) / 2
            keeps = bernoulli_divergence(middle, expected) <= limit
            inside[side] = np.where(keeps, middle, inside[side])
            outside[side] = np.where(keeps, outside[side], middle)
    return inside[0], inside[1]


def check_laws(
    frame: Frame, claims: Claims, last: LawState, edges: Sequence[int]
) -> tuple[LawState, tuple[Violation, ...]]:
    """Return the state after a step, and the laws that it broke and the step before did not.

    edges: first position of every block, then the canvas's length (`engine.sampling.blocks.Blocks.edges`).
    An edit breaks no law, but ends the check of the masked fraction.
    """
    if frame.edit is not None:
        return replace(last, intact=False), ()
    step = _step(frame, claims, last, edges)
    fresh = frame.block != last.block
    if fresh:
        last = replace(last, intact=not step.was_revealed.any(), alpha=0.0)
    intact = (
        last.intact
        and claims.preserves_marginal
        and not frame.final
        and math.isclose(frame.alpha_t, last.alpha, abs_tol=1e-9)
    )
    step = replace(step, last=replace(last, intact=intact))
    found = {violation.law: violation for law in LAWS for violation in law(step)}
    # a clamped plan is reported by its own law, and what follows from it is no second fault
    state = LawState(intact and frame.excess == 0, frozenset(found), frame.alpha_s, frame.network_calls, frame.block)
    return state, tuple(found[name] for name in found if name not in last.broken)


def _step(frame: Frame, claims: Claims, last: LawState, edges: Sequence[int]) -> LawInput:
    # one block is all that is open, also where a person has changed the prompt
    here = slice(None) if len(edges) == 2 else slice(edges[frame.block], edges[frame.block + 1])
    change = frame.change[:, here]
    states = {state: change == state for state in Change}
    return LawInput(
        frame,
        claims,
        last,
        states[Change.MASKED] | states[Change.REVEALED],
        states[Change.HELD] | states[Change.REMASKED] | states[Change.EDITED],
        states[Change.MASKED] | states[Change.REMASKED],
        frame.unmask[:, here].astype(np.float64),
        frame.remask[:, here].astype(np.float64),
        here,
    )


Law = Callable[[LawInput], Iterator[Violation]]


def _broken(law: str, step: LawInput, formula: str, finding: str, **numbers: float) -> Violation:
    return Violation(law, step.frame.index + 1, formula, finding, tuple(numbers.items()))


def marginal(step: LawInput) -> Iterator[Violation]:
    """Check that the batch's masked fraction is 1 - alpha_s, where the strategy claims to keep it."""
    frame, count = step.frame, step.positions
    if not step.last.intact or frame.excess > 0 or not count:
        return
    seen, expected = float(step.now_masked.sum()) / count, min(max(1 - frame.alpha_s, 0.0), 1.0)
    if count * float(bernoulli_divergence(seen, expected)) > step.surprise:
        least, most = (float(end[0]) for end in marginal_band(np.array([expected]), count, np.array([frame.index])))
        yield _broken(
            "marginal", step, "E[masked] / n = 1 - alpha_s",
            f"{seen:.4f} of {counted(count, 'position is masked', 'positions are masked')}; "
            f"chance allows {least:.4f} to {most:.4f}",
            masked=seen, expected=expected, least=least, most=most, n=count,
        )  # fmt: skip


def in_range(step: LawInput) -> Iterator[Violation]:
    """Check that the plan's values are probabilities; note a clamp that the strategy's formula implies."""
    frame = step.frame
    if step.clamps:
        yield _broken(
            EXPECTED, step, step.claims.leaves_range,
            f"Plan out of [0, 1] by {frame.excess:.4g}; clamped, as the formula implies",
            excess=frame.excess, t=frame.t, s=frame.s,
        )  # fmt: skip
    elif frame.excess > 0:
        yield _broken(
            "range", step, RANGE if frame.edit_plan is None else EDIT_RANGE,
            f"Plan out of [0, 1] by {frame.excess:.4g}; clamped",
            excess=frame.excess, t=frame.t, s=frame.s,
        )  # fmt: skip


def bounded(step: LawInput) -> Iterator[Violation]:
    """Check that sigma is at most sigma_max (ReMDM, arXiv 2503.00307)."""
    frame = step.frame
    if not step.claims.preserves_marginal or frame.final or step.clamps or not step.was_revealed.any():
        return
    bound = min(1.0, (1 - frame.alpha_s) / frame.alpha_t) if frame.alpha_t > 0 else 1.0
    sigma = float(step.remask[step.was_revealed].max())
    if sigma > max(bound, 0.0) * (1 + ROUNDING) + 1e-9:
        yield _broken(
            "sigma", step, "remask <= sigma_max = min(1, (1 - alpha_s) / alpha_t)",
            f"sigma = {sigma:.4g} > sigma_max = {bound:.4g}: the marginals are not kept",
            remask=sigma, sigma_max=bound, alpha_s=frame.alpha_s, alpha_t=frame.alpha_t,
        )  # fmt: skip


def changes_as_planned(step: LawInput) -> Iterator[Violation]:
    """Check that as many positions change as the plan's probabilities say, by Bernstein's inequality."""
    if step.frame.final:
        return
    for name, plan, could, did, formula in (
        ("remasks", step.remask, step.was_revealed, Change.REMASKED, "E[remasked] = sum of remask over revealed"),
        ("reveals", step.unmask, step.was_masked, Change.REVEALED, "E[revealed] = sum of unmask over masked"),
    ):  # fmt: skip
        p, seen = plan[could], step.frame.count(did)
        expected, spread = float(p.sum()), float((p * (1 - p)).sum())
        room = step.surprise / 3 + math.sqrt(step.surprise**2 / 9 + 2 * step.surprise * spread)
        if abs(seen - expected) > room + ROUNDING * expected:
            yield _broken(
                name, step, formula, f"{seen} {name}; {expected:.1f} expected",
                seen=seen, expected=expected, most=expected + room, least=max(0.0, expected - room),
            )  # fmt: skip


def edits_as_planned(step: LawInput) -> Iterator[Violation]:
    """Check that no more is edited than the plan's probabilities say; fewer may be, as a token may be put again."""
    frame, seen = step.frame, step.frame.count(Change.EDITED)
    p = np.zeros(0) if frame.edit_plan is None else frame.edit_plan[:, step.here].astype(np.float64)[step.was_revealed]
    expected, spread = float(p.sum()), float((p * (1 - p)).sum())
    room = step.surprise / 3 + math.sqrt(step.surprise**2 / 9 + 2 * step.surprise * spread)
    if seen > (expected + room + ROUNDING * expected if expected else 0):
        yield _broken(
            "edits", step, "E[edited] <= sum of edit over revealed", f"{seen} edits; at most {expected:.1f} expected",
            seen=seen, expected=expected, most=expected + room,
        )  # fmt: skip


def calls_as_planned(step: LawInput) -> Iterator[Violation]:
    """Check that the network computes the sequences that reveal something, or all with masks if the plan reads them."""
    frame = step.frame
    reads = step.claims.reads - {"held", "noise"}
    looks = bool(reads) and not frame.final
    if looks and reads & {"committed", "verified", "ahead", "planned", "simplex"}:
        return  # such a strategy chooses itself when it needs the network
    asks = step.was_masked if looks else frame.change == Change.REVEALED
    planned, calls = int(asks.any(-1).sum()), frame.network_calls - step.last.calls
    # guidance is a second call with the prompt masked
    planned *= 1 + (frame.settings.cfg > 0 and bool((frame.change == Change.LOCKED).any()))
    if calls != planned:
        who = "sequences with masks" if looks else "sequences that reveal something"
        yield _broken(
            "calls", step, f"network calls = {who}",
            f"{calls} sequences through the network; {planned} expected", calls=calls, planned=planned,
        )  # fmt: skip


def quota_kept(step: LawInput) -> Iterator[Violation]:
    """Check that every sequence is left as many masks as the quota says that the strategy claims to keep."""
    frame, kept = step.frame, MASKS_LEFT.get(step.claims.quota)
    if kept is None or frame.final:
        return
    masked = step.was_masked.sum(-1)
    most = kept.most(StepCounts(masked + step.was_revealed.sum(-1), masked, frame.t, frame.s, frame.alpha_s))
    # shares are of the masks there were, whatever is masked again beside them
    left = (step.now_masked & step.was_masked if kept.exact else step.now_masked).sum(-1)
    wrong = np.flatnonzero(left != most if kept.exact else left > most)
    if len(wrong):
        row = int(wrong[0])
        yield _broken(
            "quota", step, kept.formula, f"{left[row]} masks are left in sample {row}; {most[row]} by the quota",
            left=float(left[row]), quota=float(most[row]),
        )  # fmt: skip


def remasks_limited(step: LawInput) -> Iterator[Violation]:
    """Check that no sequence loses more tokens than the strategy claims, nor could where it claims to remask none."""
    frame, limit = step.frame, step.claims.most_remasks
    if limit is None or frame.final:
        return
    lost = (frame.change[:, step.here] == Change.REMASKED).sum(-1)
    for row, (seen, revealed) in enumerate(zip(lost.tolist(), step.was_revealed.sum(-1).tolist(), strict=True)):
        most = limit(frame.t, frame.s, revealed)
        if most == 0 and (step.remask[row][step.was_revealed[row]] > 0).any():
            yield _broken(
                "limit", step, "remask = 0: the strategy never remasks",
                f"sigma = {step.remask[row][step.was_revealed[row]].max():.4g} in sample {row}", remasked=seen, most=0,
            )  # fmt: skip
            return
        if most is not None and seen > most:
            yield _broken(
                "limit", step, f"remasked <= {most} in every sequence", f"{counted(seen, 'remask')} in sample {row}",
                remasked=seen, most=most,
            )  # fmt: skip
            return


LAWS: tuple[Law, ...] = (
    marginal, in_range, bounded, changes_as_planned, edits_as_planned, calls_as_planned, quota_kept, remasks_limited,
)  # fmt: skip
