"""The numbers of the step on screen."""

from __future__ import annotations

import math

from textual.geometry import Size

from engine.sampling.figures import FIGURES
from engine.strategies import SIMPLEX
from remdm_tui.render.panels import Reading
from remdm_tui.render.shorten import shorten
from remdm_tui.widgets.text_rows import PLAIN, TextRows

ORDER = (
    "t", "alpha", "sigma", "masked", "revealed", "remasked", "calls", "per_call", "confidence", "confidence_new",
    "entropy", "steps/s",
)  # fmt: skip
"""Figures in pairs, as they are read; those of FIGURES that are not named here follow."""

PER_CALL = ("tok/NFE", "-")
"""Label of the committed tokens for each network call, and its value before the first."""


class FiguresPanel(TextRows, can_focus=True):
    """Two columns of label and value."""

    DEFAULT_CSS = "FiguresPanel { height: auto; }"

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of lines: at a new width they are written again, not wrapped."""
        return max(1, len(self.rows))

    def show(self, reading: Reading) -> None:
        width, count = max(24, self.size.width), len(self.rows)
        answer = [shorten(reading.answer, width)] if reading.answer else []
        lines = [*answer, *(_line(left, right, width) for left, right in _rows(reading))]
        self.write([((line, PLAIN),) for line in lines])
        # laying the screen out again costs more than all that is drawn here
        if len(self.rows) != count:
            self.refresh(layout=True)


SHORT = ("masked", "remasked", "calls", "entropy", "confidence", "sigma", "alpha")
"""Figures of a single line, the most wanted first."""


def figures_line(reading: Reading, width: int) -> str:
    """Return figures in one line of `width` cells, as many as fit whole."""
    cells = _cells(reading)
    line = shorten(reading.answer, width) if reading.answer else ""
    for name in SHORT:
        label, value = cells[name]
        longer = f"{line}   {label} {value}" if line else f"{label} {value}"
        line = longer if len(longer) <= width else line
    return line


def _rows(reading: Reading) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    cells = _cells(reading)
    if not reading.edits and (reading.frame is None or reading.frame.edit_plan is None):
        # most strategies never edit
        del cells["edited"]
    ordered = [*(cells.pop(name) for name in ORDER), *cells.values()]
    if len(ordered) % 2:
        ordered.append(("", ""))
    return list(zip(ordered[::2], ordered[1::2], strict=True))


def _cells(reading: Reading) -> dict[str, tuple[str, str]]:
    """Return label and value of all figures by name."""
    frame, now = reading.frame, reading.figures
    pace = ("steps/s", f"{reading.steps_per_second:.1f}")
    if frame is None or now is None:
        known = {"t": ("t", "1"), "alpha": ("alpha", "0"), "calls": ("NFE", "0"), "steps/s": pace, "per_call": PER_CALL}
        return {**known, **{name: (kind.label, "-") for name, kind in FIGURES.items()}, "masked": ("masked", "all")}
    calls = frame.network_calls / len(frame.tokens)
    # over the simplex nothing is masked, and it is the level of the signal
    level = "abar" if frame.settings.strategy in SIMPLEX else "alpha"
    known = {
        "t": ("t", f"{frame.s:.4f}"), "alpha": (level, f"{frame.alpha_s:.4f}"),
        "calls": (nfe(len(frame.tokens)), f"{calls:.4g}"), "steps/s": pace,
        "per_call": (PER_CALL[0], f"{(reading.open - now.masked) / calls:.3g}" if calls else "-"),
    }  # fmt: skip
    found = {name: (kind.label, _shown(now.values[name], kind.digits)) for name, kind in FIGURES.items()}
    return {**known, **found, "masked": ("masked", f"{now.masked}/{reading.length}")}


def nfe(batch: int) -> str:
    """Return what network calls are called: those of the one sample, or the mean of a batch."""
    return "NFE" if batch == 1 else "NFE, mean"


def _shown(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _line(left: tuple[str, str], right: tuple[str, str], width: int) -> str:
    half = (width - 2) // 2
    cells = []
    for name, value in (left, right):
        label = shorten(name, half - len(value) - 1)
        cells.append(f"{label}{value:>{half - len(label)}}")
    return "  ".join(cells)
