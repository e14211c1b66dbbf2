"""Knobs: what each field of a strategy may be, and strategies as lists and panels show them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Knob = float | int | str | bool
"""The value of one field of a strategy."""


@dataclass(frozen=True)
class KnobInfo:
    """One knob of a strategy: a number in [low, high], or a word out of `choices`."""

    name: str
    default: Knob
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    """words; one that begins with * stands for every text that ends so"""
    needs: tuple[str, str] | None = None
    """(other knob, value): where this one has any effect; a|b means either value"""
    scale: Literal["linear", "log"] = "linear"
    """how a slider spreads the range"""

    def check(self, value: Knob) -> Knob:
        """Return the value in the knob's own type; raises ValueError with what would be valid."""
        if self.choices:
            if not any(_matches(value, choice) for choice in self.choices):
                raise ValueError(f"{self.name} must be one of {', '.join(self.choices)}, not {value!r}")
            return value
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name} must be a number, not {value!r}") from None
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= number <= high:
            raise ValueError(f"{self.name} must lie in {low:g} to {high:g}, not {value}")
        return type(self.default)(number)


def _matches(value: Knob, choice: str) -> bool:
    if not choice.startswith("*"):
        return value == choice
    return isinstance(value, str) and value.endswith(choice[1:]) and not value.startswith("*")


@dataclass(frozen=True)
class StrategyInfo:
    """A strategy as a list shows it and a knob panel offers it."""

    name: str
    summary: str
    source: str
    reads: tuple[str, ...]
    """names of `engine.strategies.words.READS`; empty: time and state alone"""
    knobs: tuple[KnobInfo, ...]
    preserves_marginal: bool = True
    """whether it claims that 1 - alpha of the positions are masked, but for chance"""
    leaves_range: str = ""
    """the formula by which its plan leaves [0, 1] at the last step; empty: it does not"""
    edits: bool = False
    """whether it puts other tokens in the place of revealed ones"""
