"""Check the laws on a recording, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from engine import wire
from engine.debug import laws
from engine.debug.laws import Claims, LawState
from engine.recording import Header
from engine.records import StrategyInfo
from engine.sampling import blocks
from engine.sampling.trace import Record

PATIENCE = 0.5
"""Seconds before the check starts, so that the first paint comes first."""
STEPS_PER_REST, REST = 8, 0.002
"""Steps that are checked in a row, and seconds left to the screen after them."""
WITHOUT_CLAIMS = frozenset(("range", "remasks", "reveals"))
"""Laws that need no claim of the strategy."""


def broken_laws(
    record: Record, header: Header, branch: int, strategies: Mapping[str, StrategyInfo]
) -> Iterator[wire.Broken | None]:
    """Yield the laws that each step of a branch is the first to break; None after each step.

    A strategy that is not in `strategies`, such as one of a file, is only checked for WITHOUT_CLAIMS.
    """
    run, locked = header.run, record.start.locked[0]
    # masks after the last token of the prompt do not move blocks
    fixed = locked[: int(np.flatnonzero(locked).max(initial=-1)) + 1].tolist()
    edges = blocks.plan_blocks(record.start.steps, run.length, fixed, run.block_length, run.stride, run.strides).edges
    state = LawState()
    for position in range(1, len(record) + 1):
        frame = record.frame(position)
        assert frame is not None
        info = strategies.get(frame.settings.strategy)
        claims = (
            Claims(False, frozenset())
            if info is None
            else Claims(info.preserves_marginal, frozenset(info.reads), info.leaves_range)
        )
        state, found = laws.check_laws(frame, claims, state, edges)
        for violation in found:
            if info is not None or violation.law in WITHOUT_CLAIMS:
                yield wire.Broken(1, branch, violation)
        yield None


class LawChecker:
    """Checks one branch at a time; another replaces it."""

    def __init__(self, publish: Callable[[wire.Broken], object]) -> None:
        """publish: called by the thread for each broken law."""
        self._publish = publish
        self._number = 0

    def check(self, record: Record, header: Header, branch: int, strategies: tuple[StrategyInfo, ...]) -> None:
        """Start checking a branch, after PATIENCE seconds."""
        self._number += 1
        steps = broken_laws(record, header, branch, {info.name: info for info in strategies})
        threading.Thread(target=self._run, args=(steps, self._number), daemon=True, name="laws").start()

    def stop(self) -> None:
        """Stop checking."""
        self._number += 1

    def _run(self, steps: Iterator[wire.Broken | None], number: int) -> None:
        """Check step by step until another check starts; called by the thread."""
        time.sleep(PATIENCE)
        try:
            for count, found in enumerate(steps):
                if number != self._number:
                    return
                if found is not None:
                    self._publish(found)
                elif count % STEPS_PER_REST == 0:
                    time.sleep(REST)
        except (ValueError, OSError):
            # the screen reports a damaged file where it draws it
            return
