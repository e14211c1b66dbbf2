"""Check the laws on a recording, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from engine import wire
from engine.debug.recorded_laws import check_record
from engine.recording import Header
from engine.records import StrategyInfo
from engine.sampling.trace import Record

PATIENCE = 0.5
"""Seconds before the check starts, so that the first paint comes first."""
STEPS_PER_REST, REST = 8, 0.002
"""Steps that are checked in a row, and seconds left to the screen after them."""


def broken_laws(
    record: Record, header: Header, branch: int, strategies: Mapping[str, StrategyInfo]
) -> Iterator[wire.Broken | None]:
    """Yield the laws that each step of a branch is the first to break; None after each step.

    See `engine.debug.recorded_laws.check_record`.
    """
    for found in check_record(record, header.run, strategies):
        for violation in found:
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
