"""Compute what the panels show at a position of a trace.  Pure."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from rich.cells import cell_len, set_cell_size

from engine.sampling.trace import Record
from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.panels import Reading
from remdm_tui.render.shorten import join_fitting, shorten
from remdm_tui.watch.breakpoints import Breakpoint
from remdm_tui.watch.phase import Dead, EngineFailed, Lost, Phase
from remdm_tui.watch.player import Player, speed_text
from remdm_tui.watch.training_log import Losses


def reading(
    trace: Record, position: int, sample: int, steps_per_second: float, answer: str = "", edits: bool = False
) -> Reading:
    return Reading(
        trace.frame(position),
        trace.figures(position, sample),
        trace.start.tokens.shape[1],
        steps_per_second,
        int(np.count_nonzero(trace.start.locked[sample])),
        answer,
        edits,
    )


def total_steps(trace: Record) -> int:
    """Return the number of steps of the whole run, as far as known."""
    return max(trace.start.steps, len(trace))


LONGEST_STOP = 24
"""Columns of a breakpoint in the header at most."""


def training_step(losses: Losses | None) -> list[str]:
    """Return the part of the header that says how far the training run is that is followed."""
    if losses is None:
        return []
    return [f"training {losses.step:,}" + (f"/{losses.steps:,}" if losses.steps else "")]


def settings_changes(trace: Record) -> tuple[int, ...]:
    """Return the positions after which the settings are others than before."""
    return tuple(step for step, _ in trace.settings()[1:])


def active_breakpoints(listed: Sequence[Breakpoint], ascii_only: bool) -> list[str]:
    """Return the part of the header that names the one active breakpoint, or counts several; none without any."""
    active = [stop.text for stop in listed if stop.on]
    if not active:
        return []
    # the breakpoint dialog lists what does not fit
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
"""Why a run that is not done cannot continue, until a key or the next try changes that."""


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
