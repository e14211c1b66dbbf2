"""What the panels show at a position of a trace.  Pure."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.records import Settings
from engine.trace import Record
from remdm_tui.knobs import shown
from remdm_tui.player import Player
from remdm_tui.typeset import Canvas
from remdm_tui.widgets.curves import Chart
from remdm_tui.widgets.figures import Reading


def canvas(trace: Record, position: int, sample: int, different: NDArray[np.bool_] | None = None) -> Canvas:
    """The tokens of one sample at a position."""
    return Canvas(
        trace.tokens(position, sample),
        trace.change(position, sample),
        trace.held(position, sample),
        trace.tokens(max(0, position - 1), sample),
        different,
    )


def reading(trace: Record, position: int, sample: int, steps_per_second: float) -> Reading:
    return Reading(
        trace.frame(position), trace.figures(position, sample), trace.start.tokens.shape[1], steps_per_second
    )


def total_steps(trace: Record) -> int:
    """Steps of the whole run, as far as it is known."""
    return max(trace.start.steps, len(trace))


def charts(trace: Record, position: int, sample: int) -> list[Chart]:
    """The curves of the run so far, with their values at the position."""
    length = trace.start.tokens.shape[1]
    columns = {name: trace.curves.column(name, sample) for name in ("masked", "expected", "remasked", "calls")}
    confidence = trace.curves.column("confidence", sample)
    at = {name: float(column[position - 1]) if position else 0.0 for name, column in columns.items()}
    sure = float(confidence[position - 1]) if position else float("nan")
    masked = columns["masked"] / length
    calls = float(max(1, total_steps(trace) * trace.start.tokens.shape[0]))
    most = float(columns["remasked"].max(initial=1.0))
    return [
        Chart("masked, 1-alpha", masked, 1.0, columns["expected"], f"{at['masked'] / length:.3f} {at['expected']:.3f}"),
        Chart("remasked a step", columns["remasked"], most, None, f"{at['remasked']:.0f} of max {most:.0f}"),
        Chart("network calls", columns["calls"], calls, None, f"{at['calls']:.0f}"),
        Chart("confidence", confidence, 1.0, None, "-" if np.isnan(sure) else f"{sure:.3f}"),
    ]  # fmt: skip


def title(model: str, settings: Settings, seed: int) -> str:
    """The run in one line."""
    eta = settings.knobs.get("eta")
    strength = "" if eta is None else f" eta {shown(eta)}"
    return f"{model} │ {settings.strategy}{strength} │ p {shown(settings.top_p)} │ seed {seed}"


def whereabouts(player: Player, total: int, ascii_only: bool) -> str:
    """Playing or paused, where, how fast."""
    play, pause, stop = (">", "||", "[]") if ascii_only else ("►", "‖", "■")
    glyph = stop if player.done else play if player.playing else pause
    word = "done" if player.done else "playing" if player.playing else "paused"
    speed = "max" if player.speed == float("inf") else f"{player.speed:g}/s"
    behind = "" if player.live else f" (recorded {player.recorded})"
    return f"{glyph} {word} {player.position}/{total}{behind} speed {speed}"


class Pace:
    """Steps a second over the last seconds, from how much was recorded when."""

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


def plain_text(trace: Record, position: int, sample: int, pieces: Sequence[str]) -> str:
    """The sample's text for the clipboard, an underscore for each mask."""
    hidden = np.isin(trace.change(position, sample), (0, 3))
    return "".join(
        "_" if mask else pieces[token]
        for token, mask in zip(trace.tokens(position, sample).tolist(), hidden.tolist(), strict=True)
    )
