"""The numbers of the step on screen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.text import Text
from textual.widgets import Static

from engine.records import Frame
from engine.sampling.figures import Figures


@dataclass(frozen=True)
class Reading:
    """What the panel shows: the frame that led here (None at the start), its figures and the run's pace."""

    frame: Frame | None
    figures: Figures | None
    length: int
    steps_per_second: float


class FiguresPanel(Static):
    """Two columns of label and value; a plan that left its range is said in words."""

    DEFAULT_CSS = "FiguresPanel { height: auto; }"
    _lines = 0

    def show(self, reading: Reading) -> None:
        width = max(24, self.size.width)
        rows = _rows(reading)
        text = Text("\n".join(_line(left, right, width) for left, right in rows), no_wrap=True)
        frame = reading.frame
        if frame is not None and frame.excess > 0:
            text.append(f"\n! plan {frame.excess:.2g} out of range, clamped", style="bold reverse")
        lines = 1 + text.plain.count("\n")
        # laying the screen out anew costs more than all that is drawn here
        self.update(text, layout=lines != self._lines)
        self._lines = lines


def _rows(reading: Reading) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    frame, now = reading.frame, reading.figures
    if frame is None or now is None:
        return [
            (("t", "1"), ("alpha", "0")),
            (("sigma", "-"), ("masked", "all")),
            (("revealed", "-"), ("remasked", "-")),
            (("network", "0"), ("entropy", "-")),
            (("steps/s", f"{reading.steps_per_second:.1f}"), ("confid.", "-")),
        ]
    confidence = "-" if math.isnan(now.confidence) else f"{now.confidence:.3f}"
    return [
        (("t", f"{frame.s:.4f}"), ("alpha", f"{frame.alpha_s:.4f}")),
        (("sigma", f"{now.sigma:.4f}"), ("masked", f"{now.masked}/{reading.length}")),
        (("revealed", str(now.revealed)), ("remasked", str(now.remasked))),
        (("network", str(frame.network_calls)), ("entropy", f"{now.entropy:.2f}")),
        (("steps/s", f"{reading.steps_per_second:.1f}"), ("confid.", confidence)),
    ]


def _line(left: tuple[str, str], right: tuple[str, str], width: int) -> str:
    half = (width - 2) // 2
    cells = [f"{name}{value:>{half - len(name)}}" for name, value in (left, right)]
    return "  ".join(cells)
