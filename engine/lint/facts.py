"""Gather what the checks read of a run, in one pass over its frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.debug.findings import Violation
from engine.debug.recorded_laws import check_record
from engine.records import UNKNOWN_DRAW, Change, Frame, RunChoice, Settings, StrategyInfo
from engine.sampling.trace import Record
from engine.strategies import Strategy, asks_network, available, describe, make
from engine.system.callbacks import ignore

EVENTS = (Change.REVEALED, Change.REMASKED, Change.EDITED)
CLAIM = "remasks"
"""The knob by which a strategy that is not ours, as of an imported trace, says that it remasks."""


@dataclass(frozen=True, eq=False)
class Events:
    """What the steps changed, in order; all arrays are [N]."""

    step: NDArray[np.int64]
    """steps taken, so the position in the record"""
    sample: NDArray[np.int64]
    position: NDArray[np.int64]
    block: NDArray[np.int64]
    change: NDArray[np.uint8]
    token: NDArray[np.int64]
    """the one put; that lost for a remask"""
    held: NDArray[np.float64]
    """the probability that the token had when it was put"""
    final: NDArray[np.bool_]
    """whether the clean-up did it"""

    def where(self, chosen: NDArray[np.bool_]) -> Events:
        """Return the events where `chosen` [N] is true."""
        return Events(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class RunFacts:
    """One branch of a run."""

    settings: tuple[Settings, ...]
    """each one that made a step"""
    remasks: bool
    """whether one of its strategies says that it remasks"""
    ranks: bool
    """whether one of its strategies chooses by the network's prediction, or is unknown"""
    planned: bool
    """whether the plans are a strategy's own; those of an imported trace are what happened"""
    keeps_marginal: bool
    """whether one of its strategies claims to keep the masked fraction at 1 - alpha"""
    steps: int
    finished: bool
    """whether no mask is left"""
    events: Events
    expected_remasks: float
    """sum of the plan's probabilities of a remask over revealed positions"""
    by_chance: NDArray[np.float64]
    """[B]: remasks and edits of a position that chance alone gives, the mean of the open positions"""
    tokens: NDArray[np.int32]
    """[B, L], at the end"""
    locked: NDArray[np.bool_]
    """[B, L], at the end"""
    marginal: tuple[Violation, ...]
    """where the masked fraction left the band that chance allows"""
    clamped: int
    """steps whose plan left [0, 1] although the strategy's formula does not imply it"""
    excess: float
    """the largest of them"""
    pieces: Sequence[str]

    def text(self, token: int) -> str:
        """Return a token as it is shown: its text in quotes, else its number."""
        piece = self.pieces[token] if token < len(self.pieces) else ""
        return repr(piece) if piece else f"token {token}"


def gather(
    record: Record, run: RunChoice, pieces: Sequence[str] = (), pause: Callable[[], object] = ignore
) -> RunFacts:
    """Return the facts of a record.

    pieces: texts of tokens by number.  pause: called after each step, so that a thread can let others work.  Raises
    ValueError where the recording is damaged.
    """
    kinds = available()
    infos = {name: describe(kind) for name, kind in kinds.items()}
    settings: list[Settings] = []
    events: list[tuple[NDArray[np.generic], ...]] = []
    marginal: list[Violation] = []
    batch, length = record.start.tokens.shape
    chance, expected, excess, steps, clamped = np.zeros(batch), 0.0, 0.0, 0, 0
    tokens, locked, held = record.start.tokens, record.start.locked, np.full((batch, length), np.nan)
    masked = ~locked
    for position, violations in enumerate(check_record(record, run, infos), 1):
        frame = record.frame(position)
        assert frame is not None
        if frame.edit is None:
            steps += 1
            if frame.settings not in settings[-1:] and frame.settings not in settings:
                settings.append(frame.settings)
            events.append(_events(frame, position, tokens, held))
            found = _chances(frame)
            expected, chance = expected + found[0], chance + found[1]
            marginal += [one for one in violations if one.law == "marginal"]
            if frame.excess > 0 and not _implied(frame, infos):
                clamped, excess = clamped + 1, max(excess, frame.excess)
        tokens, held, masked = frame.tokens, frame.held.astype(np.float64), frame.masked
        locked = frame.change == Change.LOCKED
        pause()
    columns = [np.concatenate(each) for each in zip(*events, strict=True)] if events else [np.zeros(0, int)] * 8
    return RunFacts(
        settings=tuple(settings),
        remasks=any(_claims_to_remask(one, kinds) for one in settings),
        planned=all(one.draw != UNKNOWN_DRAW for one in settings),
        keeps_marginal=any(one.strategy in infos and infos[one.strategy].preserves_marginal for one in settings),
        ranks=any(one.strategy not in kinds or asks_network(kinds[one.strategy]) for one in settings),
        steps=steps, finished=bool(steps) and not bool(masked.any()),
        events=Events(*columns),
        expected_remasks=expected, by_chance=chance / np.maximum((~locked).sum(-1), 1),
        tokens=tokens, locked=locked, marginal=tuple(marginal), clamped=clamped, excess=excess, pieces=pieces,
    )  # fmt: skip


def _events(
    frame: Frame, step: int, tokens: NDArray[np.int32], held: NDArray[np.float64]
) -> tuple[NDArray[np.generic], ...]:
    """Return the columns of `Events` of one frame; tokens, held: before it."""
    sample, position = np.nonzero(np.isin(frame.change, EVENTS))
    change = frame.change[sample, position]
    lost = change == Change.REMASKED
    token = np.where(lost, tokens[sample, position], frame.tokens[sample, position]).astype(np.int64)
    p = np.where(lost, held[sample, position], frame.held[sample, position].astype(np.float64))
    count = len(sample)
    return (
        np.full(count, step), sample, position, np.full(count, frame.block), change, token, p,
        np.full(count, frame.final),
    )  # fmt: skip


def _chances(frame: Frame) -> tuple[float, NDArray[np.float64]]:
    """Return the expected number of remasks, and that of remasks and edits by chance of each sample, [B]."""
    could = np.isin(frame.change, (Change.HELD, Change.REMASKED, Change.EDITED))
    remask = np.where(could, frame.remask, 0).astype(np.float64)
    edit = 0 if frame.edit_plan is None else np.where(could, frame.edit_plan, 0)
    leaves = remask + edit
    return float(remask.sum()), np.where(leaves < 1, leaves, 0).sum(-1)


def _implied(frame: Frame, infos: Mapping[str, StrategyInfo]) -> bool:
    """Return whether the strategy's own formula leaves [0, 1] at this step."""
    info = infos.get(frame.settings.strategy)
    return info is not None and bool(info.leaves_range) and abs(frame.alpha_s - 1) < 1e-9


def _claims_to_remask(settings: Settings, kinds: Mapping[str, type[Strategy]]) -> bool:
    kind = kinds.get(settings.strategy)
    if kind is None:
        return bool(settings.knobs.get(CLAIM))
    try:
        made = make(kinds, settings.strategy, settings.knobs)
    except ValueError:
        return kind.remasks  # knobs of another version
    # with some knobs a strategy says that it does not
    return kind.remasks and made.most_remasks(0.5, 0.25, 1) != 0
