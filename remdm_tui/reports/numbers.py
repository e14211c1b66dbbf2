"""How figures are written in tables.  Pure."""

from __future__ import annotations

from collections.abc import Callable

NONE = "–"
"""In place of a figure that was not measured."""


def format_perplexity(x: float) -> str:
    """Return a perplexity with three or more digits."""
    return f"{x:,.0f}" if x >= 1000 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def decimals(places: int) -> Callable[[float], str]:
    """Return a function that formats numbers with a fixed number of decimal places."""
    return lambda x: f"{x:,.{places}f}"


def significant(x: float) -> str:
    """Return three significant digits, without an exponent if the number is below a billion."""
    return f"{x:,.0f}" if 1000 <= x < 1e9 else f"{x:.3g}"


def calls(x: float) -> str:
    """Return a mean number of network calls."""
    return f"{x:,.1f}" if x < 100 else f"{x:,.0f}"
