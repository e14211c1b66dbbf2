"""Check the laws on a record, step by step, without an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from engine.debug import laws
from engine.debug.claims import Claims, claims_of
from engine.debug.findings import Violation
from engine.debug.laws import LawState
from engine.records import RunChoice, Settings, StrategyInfo
from engine.sampling import blocks
from engine.sampling.trace import Record
from engine.strategies import available, make

WITHOUT_CLAIMS = frozenset(("range", "remasks", "reveals", "edits"))
"""Laws that need no claim of the strategy."""


def check_record(
    record: Record, run: RunChoice, strategies: Mapping[str, StrategyInfo]
) -> Iterator[tuple[Violation, ...]]:
    """Yield, for each step of a record, the laws that it breaks and the step before did not.

    A strategy that is not in `strategies`, such as one of a file, is only checked for WITHOUT_CLAIMS.  Raises
    ValueError where the recording is damaged.
    """
    locked = record.start.locked[0]
    # masks after the last token of the prompt do not move blocks
    fixed = locked[: int(np.flatnonzero(locked).max(initial=-1)) + 1].tolist()
    edges = blocks.plan_blocks(record.start.steps, run.length, fixed, run.block_length, run.stride, run.strides).edges
    state, claims = LawState(), Claims(False, frozenset())
    settings: Settings | None = None
    for position in range(1, len(record) + 1):
        frame = record.frame(position)
        assert frame is not None
        info = strategies.get(frame.settings.strategy)
        if frame.settings != settings:
            settings, claims = frame.settings, _claims(frame.settings, info)
        state, found = laws.check_laws(frame, claims, state, edges)
        yield tuple(one for one in found if info is not None or one.law in WITHOUT_CLAIMS)


def _claims(settings: Settings, info: StrategyInfo | None) -> Claims:
    """Return what a strategy claims with its recorded knobs; without an `info` nothing."""
    if info is None:
        return Claims(False, frozenset())
    try:
        return claims_of(make(available(), settings.strategy, settings.knobs))
    except ValueError:
        # one of another version or another machine: what its class says is known
        return Claims(info.preserves_marginal, frozenset(info.reads), info.leaves_range)
