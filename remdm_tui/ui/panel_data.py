"""Compute what the panels show at a position of a trace.  Pure."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size

from engine.debug import laws
from engine.records import StrategyInfo
from engine.sampling.trace import Record
from remdm_tui.render.panels import Chart, Overlay, Reading
from remdm_tui.render.shorten import join_fitting
from remdm_tui.watch.player import Player


def reading(trace: Record, position: int, sample: int, steps_per_second: float) -> Reading:
    return Reading(
        trace.frame(position), trace.figures(position, sample), trace.start.tokens.shape[1], steps_per_second
    )


def total_steps(trace: Record) -> int:
    """Return the number of steps of the whole run, as far as known."""
    return max(trace.start.steps, len(trace))


BAND = 96
"""Steps at which the band is computed: as many as a chart has dots."""


def has_band(trace: Record, strategies: Sequence[StrategyInfo]) -> bool:
    """Return whether only chance can separate the masked fraction from 1 - alpha.

    True if every strategy claims to preserve the marginal and there are no edits.
    """
    claims = {info.name: info.preserves_marginal for info in strategies}
    return not trace.edits() and all(claims.get(settings.strategy, False) for _, settings in trace.settings())


def band(expected: NDArray[np.float64], positions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the least and greatest masked fraction that breaks no law, [steps]; None if time restarts in blocks."""
    if len(expected) == 0 or (np.diff(expected) > 1e-9).any():
        return None
    steps = np.unique(np.linspace(0, len(expected) - 1, BAND).astype(int))
    least, most = laws.marginal_band(np.clip(expected[steps], 0, 1), positions, steps)
    every = np.arange(len(expected))
    return np.interp(every, steps, least), np.interp(every, steps, most)


def charts(trace: Record, position: int, sample: int, with_band: bool = False) -> list[Chart]:
    """Return the curves of the run so far with their values at `position`; `masked` counts unlocked positions only."""
    length = int((~trace.start.locked[sample]).sum())
    columns = {name: trace.curves.column(name, sample) for name in ("masked", "expected", "remasked", "calls")}
    confidence = trace.curves.column("confidence", sample)
    at = {name: float(column[position - 1]) if position else 0.0 for name, column in columns.items()}
    sure = float(confidence[position - 1]) if position else float("nan")
    masked = columns["masked"] / max(length, 1)
    chance = band(columns["expected"], length) if with_band else None
    batch = trace.start.tokens.shape[0]
    calls = columns["calls"] / batch
    most = float(columns["remasked"].max(initial=1.0))
    return [
        Chart(
            "masked, 1-alpha", masked, 1.0, columns["expected"],
            f"{at['masked'] / max(length, 1):.3f} {at['expected']:.3f}", chance,
        ),
        Chart("remasked a step", columns["remasked"], most, None, f"{at['remasked']:.0f} of max {most:.0f}"),
        Chart(
            "network calls" if batch == 1 else "network calls (mean)", calls, float(max(1, total_steps(trace))), None,
            f"{at['calls'] / batch:.4g}",
        ),
        Chart("confidence", confidence, 1.0, None, "-" if np.isnan(sure) else f"{sure:.3f}"),
    ]  # fmt: skip


def overlays(panes: Sequence[tuple[str, Record, int]], sample: int) -> list[Overlay]:
    """Return one overlay per figure for several branches, each given as (letter, record, position)."""
    length, batch = panes[0][1].start.tokens.shape[::-1]
    calls = float(max(1, max(total_steps(record) for _, record, _ in panes)))

    def overlay(label: str, name: str, top: float, digits: int) -> Overlay:
        # calls are counted over the whole batch
        over = batch if name == "calls" else 1
        curves = [(letter, record.curves.column(name, sample) / over) for letter, record, _ in panes]
        at = [column[place - 1] if place else float("nan") for (_, column), (_, _, place) in zip(curves, panes)]
        highest = top or max((float(np.nanmax(column, initial=0.0)) for _, column in curves), default=0.0) or 1.0
        values = ["-" if np.isnan(value) else f"{value:.{digits}f}" for value in at]
        return Overlay(label, tuple(curves), highest, tuple(values))

    return [
        overlay("masked", "masked", float(length), 0),
        overlay("calls", "calls", calls, 1 if batch > 1 else 0),
        overlay("entropy", "entropy", 0.0, 2),
        overlay("confid.", "confidence", 1.0, 2),
    ]


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
    """Return the number of the step on screen, of how many, and what came besides: clean-ups are no steps."""
    clean_ups = trace.clean_ups()
    past = bisect_right(clean_ups, position)
    total = max(trace.start.steps + len(trace.edits()), len(trace) - len(clean_ups))
    besides = f" + {counted(past, 'clean-up')}" if past > 1 else " + clean-up" if past else ""
    return position - past, total, besides


def counted(number: int, word: str) -> str:
    """Return a number with its word in the singular or the plural."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def play_status(player: Player, at: tuple[int, int, str], ascii_only: bool, short: bool = False) -> str:
    """Return playing or paused, the step and the speed; `at` is what `progress` returns."""
    step, total, besides = at
    play, pause, stop = (">", "||", "[]") if ascii_only else ("►", "‖", "■")
    glyph = stop if player.done else play if player.playing else pause
    word = "done" if player.done else "playing" if player.playing else "paused"
    speed = "max" if player.speed == float("inf") else f"{player.speed:g}/s"
    behind = "" if player.live or short else f" (recorded {player.recorded})"
    return f"{glyph} {word} {step}/{total}{besides}{behind} {'' if short else 'speed '}{speed}"


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
