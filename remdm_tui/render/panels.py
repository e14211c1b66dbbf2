"""The records that the panels beside the text show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.records import Frame
from engine.sampling.figures import Figures

Curve = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chart:
    """One or two curves on a common scale; `top` is the value at the upper edge."""

    label: str
    values: Curve
    top: float
    reference: Curve | None = None
    value: str = ""
    band: tuple[Curve, Curve] | None = None
    """between which the curve would be by chance"""
    own: bool = False
    """whether its steps are others than the run's, so that the place on screen is no place in it"""


@dataclass(frozen=True, eq=False)
class Overlay:
    """One figure of several branches, on a common scale; what each of them is at now."""

    label: str
    curves: tuple[tuple[str, Curve], ...]
    """a letter for each, and its values"""
    top: float
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What the panel shows: the frame that led here (None at the start), its figures and the run's pace."""

    frame: Frame | None
    figures: Figures | None
    length: int
    steps_per_second: float
    locked: int = 0
    """positions that the sampler never fills"""
    answer: str = ""
    """to the task that is asked, and whether it is right"""
    edits: bool = False
    """whether the strategy of the step edits, though this step may not: the panel keeps its rows"""

    @property
    def open(self) -> int:
        """How many positions the sampler fills."""
        return self.length - self.locked
