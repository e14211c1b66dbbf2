"""The laws held against a recording: what the engine would have said of its steps, found by a thread of its own."""

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
"""Seconds before it begins: the first picture comes first."""
STEPS_PER_REST, REST = 8, 0.002
"""Steps that are checked at once, and seconds that are left to the screen after them."""
WITHOUT_CLAIMS = frozenset(("range", "remasks", "reveals"))
"""Laws that hold whatever a strategy says of itself."""


def broken_laws(
    record: Record, header: Header, branch: int, strategies: Mapping[str, StrategyInfo]
) -> Iterator[wire.Broken | None]:
    """For every step of a branch what it has broken that the step before had not; None between two steps.

    A strategy that is not known here, as one of a file, is held to what needs no claim of its own.
    """
    run, locked = header.run, record.start.locked[0]
    # masks behind the last token of the prompt move no block
    fixed = locked[: int(np.flatnonzero(locked).max(initial=-1)) + 1].tolist()
    edges = blocks.plan(record.start.steps, run.length, fixed, run.block_length, run.stride, run.strides).edges
    standing = LawState()
    for position in range(1, len(record) + 1):
        frame = record.frame(position)
        assert frame is not None
        info = strategies.get(frame.settings.strategy)
        claims = Claims(False, "time") if info is None else Claims(info.preserves_marginal, info.reads)
        standing, found = laws.check(frame, claims, standing, edges)
        for violation in found:
            if info is not None or violation.law in WITHOUT_CLAIMS:
                yield wire.Broken(1, branch, violation)
        yield None


class LawChecker:
    """One branch at a time: another takes the place of the one before."""

    def __init__(self, tell: Callable[[wire.Broken], object]) -> None:
        """tell: called by the thread."""
        self._tell = tell
        self._turn = 0

    def check(self, record: Record, header: Header, branch: int, strategies: tuple[StrategyInfo, ...]) -> None:
        """Begin with a branch in a while."""
        self._turn += 1
        steps = broken_laws(record, header, branch, {info.name: info for info in strategies})
        threading.Thread(target=self._work, args=(steps, self._turn), daemon=True, name="laws").start()

    def stop(self) -> None:
        self._turn += 1

    def _work(self, steps: Iterator[wire.Broken | None], turn: int) -> None:
        time.sleep(PATIENCE)
        try:
            for number, found in enumerate(steps):
                if turn != self._turn:
                    return
                if found is not None:
                    self._tell(found)
                elif number % STEPS_PER_REST == 0:
                    time.sleep(REST)
        except (ValueError, OSError):
            # a file that is damaged there is told where it is drawn
            return
