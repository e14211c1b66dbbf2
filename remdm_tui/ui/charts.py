"""The curves beside the text: which are drawn for one branch and for several, and from what they are computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from engine.debug import laws
from engine.records import Change, Frame, StrategyInfo
from engine.sampling.figures import FIGURES
from engine.sampling.trace import Record
from remdm_tui.render.panels import Chart, Curve, Overlay
from remdm_tui.ui.panel_data import total_steps
from remdm_tui.watch.training_log import Losses

BAND = 96
"""Steps at which the band of chance is computed: as many as a chart has dots."""


def has_band(trace: Record, strategies: Sequence[StrategyInfo]) -> bool:
    """Return whether only chance can separate the masked fraction from 1 - alpha.

    True if every strategy claims to preserve the marginal and there are no edits.
    """
    claims = {info.name: info.preserves_marginal for info in strategies}
    return not trace.edits() and all(claims.get(settings.strategy, False) for _, settings in trace.settings())


class Bands:
    """The band of chance of a few runs; a point of it costs half a millisecond, so each is computed once."""

    MOST = 4_096
    """Points that are remembered"""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, float], tuple[float, float]] = {}
        """least and most by number of positions, step and expected fraction"""

    def of(self, expected: Curve, positions: int, total: int) -> tuple[Curve, Curve] | None:
        """Return the least and greatest masked fraction that breaks no law, [steps].

        total: steps of the whole run.  None if time restarts in blocks.
        """
        if len(expected) == 0 or (np.diff(expected) > 1e-9).any():
            return None
        last = len(expected) - 1
        steps = np.unique(np.append(np.arange(0, last, max(1, total // BAND)), last))
        at = np.clip(expected[steps], 0, 1)
        keys = [(positions, step, value) for step, value in zip(steps.tolist(), at.tolist(), strict=True)]
        if len(self._known) > self.MOST:
            self._known.clear()
        if new := [i for i, key in enumerate(keys) if key not in self._known]:
            ends = laws.marginal_band(at[new], positions, steps[new])
            found = zip(*(end.tolist() for end in ends), strict=True)
            self._known.update(zip((keys[i] for i in new), found, strict=True))
        least, most = np.array([self._known[key] for key in keys]).T
        every = np.arange(len(expected))
        return np.interp(every, steps, least), np.interp(every, steps, most)


def reveal_confidence(frame: Frame, sample: int) -> float:
    """Return the mean probability of the tokens that a step revealed; nan where it revealed none."""
    fresh = frame.held[sample][frame.change[sample] == Change.REVEALED]
    return float(fresh.mean(dtype=np.float64)) if len(fresh) else float("nan")


def edited_tokens(frame: Frame, sample: int) -> float:
    """Return how many tokens a step replaced."""
    return float(frame.count(Change.EDITED, sample))


def may_edit(trace: Record, strategies: Sequence[StrategyInfo]) -> bool:
    """Return whether one of the strategies of a record says that it edits, or is unknown."""
    edits = {info.name: info.edits for info in strategies}
    return any(edits.get(settings.strategy, True) for _, settings in trace.settings())


class CurveReader:
    """A number of every step of a few records.

    Files do not hold it, so it is computed from their frames, a few milliseconds of them at a time.
    """

    BUDGET = 0.004
    """Seconds of reading in one call"""
    MOST = 8
    """Records that are remembered"""

    def __init__(self, measure: Callable[[Frame, int], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._measure, self._clock = measure, clock
        self._read: dict[tuple[int, int], tuple[Record, list[float]]] = {}
        self.whole = True
        """whether everything requested since this was set is read"""

    def of(self, record: Record, sample: int) -> Curve:
        """Return the curve as far as it is read, [steps]."""
        key = (id(record), sample)
        # the record is kept beside its values, so that no other can have its number
        read = self._read.pop(key, (record, []))[1]
        self._read[key] = record, read
        if len(self._read) > self.MOST:
            del self._read[next(iter(self._read))]
        del read[len(record) :]
        until = self._clock() + self.BUDGET
        while len(read) < len(record) and self._clock() < until:
            frame = record.frame(len(read) + 1)
            assert frame is not None
            read.append(self._measure(frame, sample))
        self.whole = self.whole and len(read) == len(record)
        return np.array(read)


class LostTokens:
    """The tokens that each step remasked or edited, of a few records."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._edited = CurveReader(edited_tokens, clock)

    @property
    def whole(self) -> bool:
        """Return whether the edits that were last asked for are read to the end."""
        return self._edited.whole

    def of(self, record: Record, sample: int, strategies: Sequence[StrategyInfo]) -> Curve:
        """Return the curve, [steps]; edits count as far as they are read."""
        lost = record.curves.column("remasked", sample)
        self._edited.whole = True
        if may_edit(record, strategies):
            edits = self._edited.of(record, sample)[: len(lost)]
            lost = lost + np.pad(edits, (0, len(lost) - len(edits)))
        return lost


def curve_columns(record: Record, sample: int, names: Sequence[str]) -> dict[str, Curve]:
    """Return curves of a record, all of as many steps: the thread that listens to the engine appends meanwhile."""
    found = {name: record.curves.column(name, sample) for name in names}
    steps = min(map(len, found.values()))
    return {name: column[:steps] for name, column in found.items()}


def per_call(masked: Curve, calls: Curve, open_: int) -> Curve:
    """Return how many of the open positions hold a token for each network call, [steps]; nan before the first call."""
    return np.divide(open_ - masked, calls, out=np.full(len(calls), np.nan), where=calls > 0)


def charts(
    trace: Record, position: int, sample: int, bands: Bands | None = None, revealed: Curve | None = None
) -> list[Chart]:
    """Return the curves of the run so far with their values at `position`; `masked` counts unlocked positions only.

    bands: computes the band of chance, where there is one; revealed: `reveal_confidence` of it, as far as read.
    """
    length = int((~trace.start.locked[sample]).sum())
    columns = curve_columns(trace, sample, ("masked", "expected", "remasked", "calls", "confidence"))
    confidence = columns.pop("confidence")
    at = {name: float(column[position - 1]) if position else 0.0 for name, column in columns.items()}
    masked = columns["masked"] / max(length, 1)
    chance = None if bands is None else bands.of(columns["expected"], length, total_steps(trace))
    batch = trace.start.tokens.shape[0]
    calls, of_batch = columns["calls"] / batch, "" if batch == 1 else ", mean of the batch"
    most = float(columns["remasked"].max(initial=1.0))
    rate = per_call(columns["masked"], calls, length)
    gate = [] if revealed is None else [Chart("p of new tokens", revealed, 1.0, None, _value(revealed, position))]
    return [
        Chart(
            "masked, 1-alpha", masked, 1.0, columns["expected"],
            f"{at['masked'] / max(length, 1):.3f} {at['expected']:.3f}", chance,
        ),
        Chart("remasked a step", columns["remasked"], most, None, f"{at['remasked']:.0f} of max {most:.0f}"),
        *gate,
        Chart(f"NFE{of_batch}", calls, float(max(1, total_steps(trace))), None, f"{at['calls'] / batch:.4g}"),
        Chart(f"tokens per NFE{of_batch}", rate, _top(rate), None, _value(rate, position)),
        Chart("confidence", confidence, 1.0, None, _value(confidence, position)),
    ]  # fmt: skip


POINTS = 128
"""Points of the loss curve, at equal distances in the steps of the training run."""


def loss_chart(losses: Losses) -> Chart:
    """Return the curve of a training run's loss over its steps so far; the value is that of its last step."""
    grid = np.linspace(losses.at[0], losses.at[-1], POINTS)
    values = np.interp(grid, losses.at, losses.values)
    top = _top(np.where(np.isfinite(values), values, np.nan))
    where = f"{losses.loss:.3f} at step {losses.step:,}"
    return Chart("training loss", values, top, None, where, own=True)


def _value(curve: Curve, position: int) -> str:
    """Return the value of a curve at a position; "-" where it has none or is not read yet."""
    value = float(curve[position - 1]) if 0 < position <= len(curve) else float("nan")
    return "-" if np.isnan(value) else f"{value:.3g}"


def _top(curve: Curve) -> float:
    """Return the largest value of a curve; 1 if it has none."""
    return float(np.nanmax(curve, initial=0.0)) or 1.0


def overlays(
    panes: Sequence[tuple[str, Record, int]], sample: int, revealed: Mapping[str, Curve] = MappingProxyType({})
) -> list[Overlay]:
    """Return one overlay per figure for several branches, each given as (letter, record, position).

    revealed: `reveal_confidence` of each record, as far as it is read, by letter.
    """
    start = panes[0][1].start
    batch, length = start.tokens.shape
    total = float(max(1, max(total_steps(record) for _, record, _ in panes)))
    names = ("masked", "calls", "entropy", "confidence")
    by_pane = {letter: curve_columns(record, sample, names) for letter, record, _ in panes}
    columns = {name: {letter: found[name] for letter, found in by_pane.items()} for name in names}
    open_ = int((~start.locked[sample]).sum())
    # calls are counted over the whole batch
    calls = {letter: column / batch for letter, column in columns["calls"].items()}
    rates = {letter: per_call(columns["masked"][letter], calls[letter], open_) for letter in calls}

    def overlay(label: str, curves: Mapping[str, Curve], top: float, digits: int) -> Overlay:
        at = [
            curves[letter][place - 1] if 0 < place <= len(curves[letter]) else float("nan")
            for letter, _, place in panes
        ]
        values = ["-" if np.isnan(value) else f"{value:.{digits}f}" for value in at]
        highest = top or max(_top(curve) for curve in curves.values())
        return Overlay(label, tuple((letter, curves[letter]) for letter, _, _ in panes), highest, tuple(values))

    label = {name: kind.label for name, kind in FIGURES.items()}
    return [
        overlay(label["masked"], columns["masked"], float(length), 0),
        overlay("NFE" if batch == 1 else "NFE, mean", calls, total, 1 if batch > 1 else 0),
        overlay(label["entropy"], columns["entropy"], 0.0, 2),
        *([overlay(label["confidence_new"], revealed, 1.0, 2)] if revealed else []),
        overlay("tok/NFE", rates, 0.0, 2),
        overlay(label["confidence"], columns["confidence"], 1.0, 2),
    ]
