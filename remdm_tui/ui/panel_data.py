"""Compute what the panels show at a position of a trace.  Pure."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from rich.cells import cell_len, set_cell_size

from engine.debug import laws
from engine.records import Change, StrategyInfo
from engine.sampling.trace import Record
from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.panels import Chart, Curve, Overlay, Reading
from remdm_tui.render.shorten import join_fitting, shorten
from remdm_tui.watch.breakpoints import Breakpoint
from remdm_tui.watch.phase import Dead, EngineFailed, Lost, Phase
from remdm_tui.watch.player import Player, speed_text
from remdm_tui.watch.training_log import Losses


def reading(trace: Record, position: int, sample: int, steps_per_second: float) -> Reading:
    return Reading(
        trace.frame(position),
        trace.figures(position, sample),
        trace.start.tokens.shape[1],
        steps_per_second,
        int(np.count_nonzero(trace.start.locked[sample])),
    )


def total_steps(trace: Record) -> int:
    """Return the number of steps of the whole run, as far as known."""
    return max(trace.start.steps, len(trace))


LONGEST_STOP = 24
"""Columns of a breakpoint in the header at most."""
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


class RevealConfidence:
    """The mean probability of the tokens that each step revealed, of a few records.

    Files do not hold it, so it is computed from their frames, a few milliseconds of them at a time.
    """

    BUDGET = 0.004
    """Seconds of reading in one call"""
    MOST = 8
    """Records that are remembered"""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._read: dict[tuple[int, int], tuple[Record, list[float]]] = {}
        self.whole = True
        """whether all that was asked for since this was set is read"""

    def of(self, record: Record, sample: int) -> Curve:
        """Return the curve as far as it is read, [steps]; nan where a step revealed nothing."""
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
            fresh = frame.held[sample][frame.change[sample] == Change.REVEALED]
            read.append(float(fresh.mean(dtype=np.float64)) if len(fresh) else float("nan"))
        self.whole = self.whole and len(read) == len(record)
        return np.array(read)


def columns_of(record: Record, sample: int, names: Sequence[str]) -> dict[str, Curve]:
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

    bands: computes the band of chance, where there is one; revealed: what `RevealConfidence` has of the record.
    """
    length = int((~trace.start.locked[sample]).sum())
    columns = columns_of(trace, sample, ("masked", "expected", "remasked", "calls", "confidence"))
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


def training_step(losses: Losses | None) -> list[str]:
    """Return the part of the header that says how far the training run is that is followed."""
    if losses is None:
        return []
    return [f"training {losses.step:,}" + (f"/{losses.steps:,}" if losses.steps else "")]


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

    revealed: what `RevealConfidence` has of each record, by letter.
    """
    start = panes[0][1].start
    batch, length = start.tokens.shape
    total = float(max(1, max(total_steps(record) for _, record, _ in panes)))
    names = ("masked", "calls", "entropy", "confidence")
    by_pane = {letter: columns_of(record, sample, names) for letter, record, _ in panes}
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

    return [
        overlay("masked", columns["masked"], float(length), 0),
        overlay("NFE" if batch == 1 else "NFE, mean", calls, total, 1 if batch > 1 else 0),
        overlay("entropy", columns["entropy"], 0.0, 2),
        *([overlay("p of new", revealed, 1.0, 2)] if revealed else []),
        overlay("tok/NFE", rates, 0.0, 2),
        overlay("confid.", columns["confidence"], 1.0, 2),
    ]


def changes(trace: Record) -> tuple[int, ...]:
    """Return the positions after which the settings are others than before."""
    return tuple(step for step, _ in trace.settings()[1:])


def active_breakpoints(listed: Sequence[Breakpoint], ascii_only: bool) -> list[str]:
    """Return the part of the header that names the one active breakpoint, or counts several; none without any."""
    active = [stop.text for stop in listed if stop.on]
    if not active:
        return []
    # what does not fit is said by the breakpoint dialog
    what = shorten(sanitize(active[0], cells=True, ascii_only=ascii_only), LONGEST_STOP, ascii_only)
    return [f"{'[]' if ascii_only else '■'} {what if len(active) == 1 else f'{len(active)} breakpoints'}"]


def status(name: str, more: Sequence[str], right: str, width: int, ascii_only: bool) -> str:
    """Return the status line in `width` cells; the right part is never cut, nor is a number.

    A long name loses its start; then the last parts of `more` are left out.
    """
    cut, bar = ("...", " | ") if ascii_only else ("…", " │ ")
    over = cell_len(bar.join([name, *more]) + " " + right) - width
    if over > 0:
        name = cut + name[over + len(cut) :] if over + len(cut) < len(name) else ""
    room = max(0, width - cell_len(right) - 1)
    left = join_fitting([part for part in (name, *more) if part], bar, room, ascii_only)
    return f"{set_cell_size(left, room)} {right}"


def progress(trace: Record, position: int) -> tuple[int, int, str]:
    """Return the number of the step on screen, of how many, and what came besides: clean-ups and edits are no steps."""
    besides, step, more = "", position, len(trace)
    for word, positions in (("clean-up", trace.clean_ups()), ("edit", trace.edits())):
        past = bisect_right(positions, position)
        step, more = step - past, more - len(positions)
        besides += f" + {counted(past, word) if past > 1 else word}" if past else ""
    return step, max(trace.start.steps, more), besides


GONE: dict[type[Phase], str] = {Dead: "no engine", EngineFailed: "engine failed", Lost: "connection lost"}
"""Why a run that is not done goes no further, until a key or the next try changes that."""


def play_status(
    player: Player, at: tuple[int, int, str], ascii_only: bool, short: bool = False, phase: Phase | None = None
) -> str:
    """Return playing, paused or what keeps the run from going on, the step and the speed.

    at: what `progress` returns.
    """
    step, total, besides = at
    play, pause, stop, gone = (">", "||", "[]", "x") if ascii_only else ("►", "‖", "■", "✗")
    glyph = stop if player.done else play if player.playing else pause
    # a recording may end before its run did
    word = ("done" if step >= total else "recorded") if player.done else "playing" if player.playing else "paused"
    if phase is not None and type(phase) in GONE and not player.ended and (player.live or not player.playing):
        glyph, word = gone, GONE[type(phase)]
    behind = "" if player.live or short else f" (recorded {player.recorded})"
    return f"{glyph} {word} {step}/{total}{besides}{behind} {'' if short else 'speed '}{speed_text(player)}"


def waiting_status(failed: bool, ascii_only: bool) -> str:
    """Return what stands in the place of `play_status` before there is a run."""
    return f"{'x' if ascii_only else '✗'} no model" if failed else "loading"


class Pace:
    """Steps per second over the last `window` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, window: float = 2.0) -> None:
        self._clock, self._window = clock, window
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, recorded: int) -> float:
        now = self._clock()
        if self._seen and recorded < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, recorded))
        while len(self._seen) > 2 and now - self._seen[0][0] > self._window:
            self._seen.popleft()
        (first, start), (last, end) = self._seen[0], self._seen[-1]
        return (end - start) / (last - first) if last > first else 0.0
