"""The metrics of samples.  A new metric is one file in engine/metrics and one line in METRICS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.evaluation.results import Figure, Results, SampleLine

MeasureSamples = Callable[[Sequence[SampleLine]], Sequence[float]]
"""samples -> one number for each; its mean and an interval are written to results.json under `measured`"""


@dataclass(frozen=True)
class Metric:
    """One figure of an evaluation, which its summary, tables, plots and reports show in the order of METRICS."""

    title: str
    doc: str
    better: Literal["lower", "higher"] | None
    """None where neither is better: entropy should match the data's"""
    digits: int = 3
    """decimal places in the summary of an evaluation; reports show three"""
    measure: MeasureSamples | None = None
    """None where results.json has a field for it, which `read` reads"""
    read: Callable[[Results, str], Figure | None] | None = None
    """results and the name of conventions -> its figure under these"""
    perplexity: bool = False
    """whether its digits depend on its size"""
    spread: bool = False
    """whether its bounds are a deviation to either side"""
    range: float = float("inf")
    """the greatest value over the least from which on its scale is logarithmic"""


def _gen_ppl(results: Results, conventions: str) -> Figure | None:
    found = results.metrics[conventions].gen_ppl
    return None if found is None else found.perplexity


def _entropy(results: Results, conventions: str) -> Figure | None:
    return results.entropy_interval


def _mauve(results: Results, conventions: str) -> Figure | None:
    found = results.metrics[conventions].mauve
    if found is None:
        return None
    value, deviation = found.value, found.deviation
    return Figure(value) if deviation is None else Figure(value, value - deviation, value + deviation)


# entropy follows gen PPL in every list, as gen PPL alone can be gamed
METRICS: dict[str, Metric] = {
    "gen_ppl": Metric(
        "gen PPL", "generative perplexity by the judge", "lower", 1, read=_gen_ppl, perplexity=True, range=10.0
    ),
    "entropy": Metric("entropy", "of each sample's own tokens, nats", None, 2, read=_entropy),
    "mauve": Metric("MAUVE", "against the references, with its spread over seeds", "higher", read=_mauve, spread=True),
}


def figure_of(name: str, results: Results, conventions: str) -> Figure | None:
    """Return the figure of a metric under conventions; None where it was not measured."""
    read = METRICS[name].read
    return results.measured.get(name) if read is None else read(results, conventions)
