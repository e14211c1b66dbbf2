"""The checks of one run: each has a figure, a threshold and a sentence of advice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.lint.facts import Events, RunFacts
from engine.lint.outcome import CheckFigure, Unsettled
from engine.records import Change
from engine.text.counts import counted

FEWEST = 16
"""Reveals from which a share of them is measured."""
CERTAIN = 1 - 1e-6
"""Probability from which a token counts as the only one."""
LEFTMOST = 0.95
"""Rank correlation of order and position from which a run counts as decoded from the left."""
SETTLED = 4
"""Changes of a position's mind that are no finding, besides those that chance gives."""
SPREAD = 6
"""Standard deviations by which a Poisson count may exceed its mean."""
POSITIONS, CHANGES = 10, 12
"""Positions of a finding at most, and changes of each."""


@dataclass(frozen=True)
class RunCheck:
    """A check of one run; `measure` returns None where it means nothing."""

    title: str
    figure: str
    """what the figure is"""
    threshold: float
    advice: str
    measure: Callable[[RunFacts, float], CheckFigure | None]


def never_remasks(facts: RunFacts, threshold: float) -> CheckFigure | None:
    """Count the remasks of a finished run whose strategy says that it remasks."""
    if not facts.remasks or not facts.finished:
        return None
    seen = int((facts.events.change == Change.REMASKED).sum())
    names = ", ".join(dict.fromkeys(one.strategy for one in facts.settings))
    message = f"{names}: {counted(seen, 'remask')} in {counted(facts.steps, 'step')}"
    if facts.planned:
        message += f"; {facts.expected_remasks:.1f} expected by its plans"
    return CheckFigure(seen, seen < threshold, message)


def leftmost_ties(facts: RunFacts, threshold: float) -> CheckFigure | None:
    """Return the share of reveals whose probability is that of others, and how far these go from left to right."""
    known = facts.events.where((facts.events.change == Change.REVEALED) & ~facts.events.final)
    known = known.where(~np.isnan(known.held))
    if not facts.ranks or len(known.step) < FEWEST:
        return None
    share, order = _ties(known)
    return CheckFigure(
        share, share >= threshold and order >= LEFTMOST,
        f"{share:.0%} of {counted(len(known.step), 'reveal', form=',')} tie with others in probability; "
        f"order and position of these correlate by {order:.2f} (leftmost from {LEFTMOST:g})",
    )  # fmt: skip


def _ties(reveals: Events) -> tuple[float, float]:
    """Return the share of reveals that tie with one of another step, and the rank correlation within the ties."""
    value = np.round(reveals.held, 6)
    keys = np.stack([reveals.sample, reveals.block, np.unique(value, return_inverse=True)[1].reshape(-1)])
    group = np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1)
    order = np.argsort(group, kind="stable")
    tied, across, ups, downs = 0, 0.0, 0.0, 0.0
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        step, place = (_ranks(each[rows]) for each in (reveals.step, reveals.position))
        if len(rows) > 1 and step.max() > 0:
            tied += len(rows)
            step, place = step - step.mean(), place - place.mean()
            across += float((step * place).sum())
            ups, downs = ups + float((step**2).sum()), downs + float((place**2).sum())
    return tied / len(value), across / math.sqrt(ups * downs) if ups and downs else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 0, equal values alike."""
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.float64)


def one_token_nucleus(facts: RunFacts, threshold: float) -> CheckFigure | None:
    """Return the share of reveals that had one token to draw from."""
    drawn = (facts.events.change == Change.REVEALED) & ~facts.events.final & ~np.isnan(facts.events.held)
    count = int(drawn.sum())
    if count < FEWEST:
        return None
    share = float((facts.events.held[drawn] >= CERTAIN).mean())
    last = facts.settings[-1]
    message = f"the nucleus held one token in {share:.0%} of {counted(count, 'reveal', form=',')}"
    if last.top_p < 1 or last.temperature != 1:
        message += f" (top-p {last.top_p:g}, temperature {last.temperature:g})"
    return CheckFigure(share, share > threshold, message)


def flip_flop(facts: RunFacts, threshold: float) -> CheckFigure | None:
    """Return how often the most restless position lost its token, and the stories of up to ten such positions."""
    if not facts.steps:
        return None
    events = facts.events
    batch, length = facts.tokens.shape
    left = (events.change == Change.REMASKED) | (events.change == Change.EDITED)
    cells = events.sample * length + events.position
    times = np.bincount(cells[left], minlength=batch * length).reshape(batch, length)
    mean = facts.by_chance[:, None]
    allowed = threshold + mean + SPREAD * np.sqrt(mean)
    over = times - allowed
    worst = int(np.argmax(over))
    sample = worst // length
    most, limit = int(times.reshape(-1)[worst]), float(allowed[sample, 0])
    ranked = np.argsort(-over, axis=None, kind="stable")[:POSITIONS]
    found = [int(cell) for cell in ranked if over.reshape(-1)[cell] > 0]
    stories = tuple(_story(facts, events.where(cells == cell), cell // length, cell % length) for cell in found)
    restless = int((over > 0).sum())
    message = f"position {worst % length} of sample {sample} lost its token {counted(most, 'time')}"
    if not most:
        message = "no position lost its token"
    if restless > 1:
        message = f"{restless} positions lost their tokens again and again: {message}"
    return CheckFigure(most, bool(found), message, limit, stories)


def _story(facts: RunFacts, events: Events, sample: int, position: int) -> Unsettled:
    """Return the story of a position from its events, in order."""
    changes, returns, lost = [], 0, -1
    times = int((events.change != Change.REVEALED).sum())
    for step, change, token, held in zip(events.step, events.change, events.token, events.held, strict=True):
        p = "" if math.isnan(held) else f" p {held:.2f}"
        if change == Change.REMASKED:
            changes.append(f"{step} masked")
            lost = int(token)
        else:
            changes.append(f"{step} {facts.text(int(token))}{p}")
            returns += int(token) == lost
            lost = -1
    more = len(changes) - CHANGES
    story = ", ".join(changes[:CHANGES]) + (f" and {more} more" if more > 0 else "")
    return Unsettled(sample, position, times, returns, story)


def marginal_off(facts: RunFacts, threshold: float) -> CheckFigure | None:
    """Count the times that the masked fraction leaves the band that chance allows, where it is claimed to be kept."""
    if not facts.keeps_marginal:
        return None
    off = len(facts.marginal)
    if not off:
        return CheckFigure(0, False, "the masked fraction is 1 - alpha, but for chance")
    first = facts.marginal[0]
    return CheckFigure(off, off > threshold, f"from step {first.step}: {first.message}")


def clamps(facts: RunFacts, threshold: float) -> CheckFigure | None:
    """Count the steps whose plan was clamped although the strategy's formula does not imply it."""
    if not (facts.planned or facts.clamped):
        return None
    message = f"the plan left [0, 1] in {facts.clamped} of {counted(facts.steps, 'step')}"
    if facts.clamped:
        message += f", by {facts.excess:.4g} at most"
    return CheckFigure(facts.clamped, facts.clamped > threshold, message)


RUN_CHECKS: dict[str, RunCheck] = {
    "never-remasks": RunCheck(
        "Never remasks", "remasks, at least", 1,
        "Check that the option reaches the sampler, and that its knobs allow a remask: eta, times, thresholds, counts.",
        never_remasks,
    ),
    "leftmost-ties": RunCheck(
        "Ties go leftmost", "share of reveals that tie", 0.25,
        "Take the confidence before temperature and nucleus, and in float32: ties are decided by position, so the "
        "sampler decodes from left to right.",
        leftmost_ties,
    ),
    "flip-flop": RunCheck(
        "Flip-flop", "times that one position lost its token", SETTLED,
        "Limit how often a position may be remasked, or do not remask what the network would put back.",
        flip_flop,
    ),
    "marginal": RunCheck(
        "Marginal off", "times that the masked fraction left its band", 0,
        "Derive unmask from sigma as ReMDM's posterior does, or declare preserves_marginal = False.",
        marginal_off,
    ),
    "clamps": RunCheck(
        "Clamps", "steps whose plan left [0, 1]", 0,
        "Lower eta, or bound sigma by sigma_max: what was clamped is not the sampler that was meant.",
        clamps,
    ),
    "one-token-nucleus": RunCheck(
        "Nucleus of one token", "share of reveals with one token to draw from", 0.8,
        "Raise --top-p or the temperature: there is hardly anything left to draw, so the texts lack diversity.",
        one_token_nucleus,
    ),
}  # fmt: skip
"""By name.  A new check is one line here: `lint`, `watch` and the docs' table follow."""
