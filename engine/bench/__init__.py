"""How the factorised step compares with the dense one, measured side by side on this machine.

Both sides run the same network in the same type.  Dense is `engine.sampling.oracle.step`, with its probabilities in
float64 as ours are (`float64`) or in the network's own type as ReMDM's code has them (`network`);
the latter is cheaper, so it is the one that targets are held against.
"""

from __future__ import annotations

from engine.bench.options import (
    ALLOCATORS,
    DTYPES,
    PROBABILITIES,
    QUICK,
    Comparison,
    Machine,
    NetworkShape,
    Options,
    machine,
)
from engine.bench.parts import PARTS, measure
from engine.bench.subjects import Unfolded, half_masked, random_model
from engine.bench.timing import BASE, TimingOptions, TimingRow, measure_timing

__all__ = [
    "ALLOCATORS", "BASE", "DTYPES", "PARTS", "PROBABILITIES", "QUICK", "Comparison", "Machine", "NetworkShape",
    "Options", "TimingOptions", "TimingRow", "Unfolded", "half_masked", "machine", "measure", "measure_timing",
    "random_model",
]  # fmt: skip
