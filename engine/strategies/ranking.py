"""Choices of a set of positions by rank, and how a count is shared out over steps.  Ties go to the left."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.strategies.base import SLACK, View

if TYPE_CHECKING:
    from torch import Tensor


def ranks(scores: Tensor, where: Tensor) -> Tensor:
    """Return the rank of each position among those `where`, bool [B, L], highest score first, long [B, L].

    The other positions come last.
    """
    order = scores.where(where, -math.inf).sort(dim=-1, descending=True, stable=True).indices
    # of equal scores outside `where` none comes before one inside
    order = order.gather(-1, (~where).gather(-1, order).long().sort(dim=-1, stable=True).indices)
    return order.argsort(-1)


def highest(scores: Tensor, where: Tensor, count: Tensor | int) -> Tensor:
    """Return bool [B, L]: the `count`, long [B, 1], highest of scores [B, L] among `where`; all if there are fewer."""
    return (ranks(scores, where) < count) & where


def lowest(scores: Tensor, where: Tensor, count: Tensor | int) -> Tensor:
    """Return bool [B, L]: the `count`, long [B, 1], lowest of scores [B, L] among `where`; all if there are fewer."""
    return highest(-scores, where, count)


def below(scores: Tensor, where: Tensor, count: Tensor) -> Tensor:
    """Return bool [B, L]: the `count`, long [B, 1], lowest of scores [B, L] among `where`.

    All of equal scores are left out where not all belong to them, as P2 and RDM compare with the next score.
    """
    sorted_scores = scores.where(where, math.inf).sort(dim=-1).values
    limit = sorted_scores.gather(-1, count.clamp(max=sorted_scores.shape[-1] - 1))
    return where & ((scores < limit) | (count >= where.sum(-1, keepdim=True)))


def ordered(values: Tensor, scores: Tensor, where: Tensor) -> Tensor:
    """Return values [B, L] in the order of their `ranks`, 0 beyond the positions `where`."""
    return values.where(where, 0.0).gather(-1, ranks(scores, where).argsort(-1))


def logarithm(p: Tensor) -> Tensor:
    """Return log p, finite also at 0."""
    return p.clamp(min=1e-300).log()


def gumbel(noise: Tensor) -> Tensor:
    """Return Gumbel noise out of uniforms in (0, 1)."""
    return -(-noise.log()).log()


def count_of_steps(view: View) -> tuple[Tensor, Tensor]:
    """Return (number of the step from 0, steps in all) on a grid of equal steps, long [B, 1] each."""
    steps = (1 / (view.t - view.s)).round().long()
    return ((1 - view.t) * steps).round().long(), steps


def middle_first(step: Tensor, steps: Tensor, count: int) -> Tensor:
    """Return how many of `count` step number `step` of `steps` has, long: equal shares, the rest to the middle steps.

    The rest goes, one each, to the steps nearest the centre, of two as near the earlier one first.
    """
    each, rest = count // steps, count % steps
    off = 2 * step - (steps - 1)
    # nearer steps come in pairs, one on either side, but for a step in the centre itself
    nearer = (off.abs() - (off > 0).long().logical_not().long()).clamp(min=0)
    return each + (nearer < rest).long()


def share(left: Tensor, view: View, end: float) -> Tensor:
    """Return how many of `left`, [B, 1], are due in this step if all are by time `end`, rounded up, long [B, 1]."""
    return (left * ((view.t - view.s) / (view.t - end)).clamp(0, 1) - SLACK).ceil().long()


def fixed_quota(view: View) -> Tensor:
    """Return LLaDA's quota of this step, long [B, 1], as it is shared out before the first: what is over goes first.

    Unlike `quota` it takes no account of how many masks are left.
    """
    count = (view.masked | view.revealed).sum(-1, keepdim=True)
    step, steps = count_of_steps(view)
    return count // steps + (step < count % steps)


def kept_masked(view: View) -> Tensor:
    """Return how many positions are to be masked after the step: 1 - alpha_s of all, rounded down in float32 [B, 1]."""
    positions = (view.masked | view.revealed).sum(-1, keepdim=True)
    return (positions.float() * (1 - view.alpha_s).float()).long()


def dream_shares(view: View) -> Tensor:
    """Return Dream's share of the masks, rounded down in float32 [B, 1]: none at all while it is below 1."""
    masked = view.masked.sum(-1, keepdim=True)
    return (masked.float() * (1 - view.s.float() / view.t.float())).long()


def dream_grid(steps: int, eps: float) -> NDArray[np.float64]:
    """Return Dream's times, from 1 towards eps in equal steps; the last step takes all that is left."""
    times = np.linspace(1, eps, steps + 1)
    times[-1] = 0
    return times
