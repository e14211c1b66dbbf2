"""The findings of the engine as the screen shows them: broken laws and a failed strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine.debug.findings import Violation
from engine.debug.laws import EXPECTED
from engine.debug.messages import StrategyFailed
from engine.records import Change, Frame
from engine.text.lines import lines_of
from remdm_tui.console.sanitize import sanitize


@dataclass(frozen=True)
class Failure:
    """A failed strategy: the step, the reason, and the traceback within its file."""

    where: str
    reason: str
    detail: str

    @classmethod
    def of(cls, event: StrategyFailed) -> Failure:
        """Return the failure that the engine reports, sanitized."""
        where = "cannot load the file" if event.step < 0 else f"failed at step {event.step}; the run stays there"
        detail = "\n".join(sanitize(line, cells=True) for line in lines_of(event.detail.rstrip()))
        return cls(where, sanitize(event.reason, cells=True), detail)


@dataclass(frozen=True)
class Findings:
    """The findings of one run."""

    broken: Mapping[str, Violation] = field(default_factory=dict)
    """the first violation of each law, by its name"""
    failure: Failure | None = None
    found: Mapping[tuple[int, int], tuple[Violation, ...]] = field(default_factory=dict)
    """all violations by (branch, step)"""
    dismissed: frozenset[tuple[int, int]] = frozenset()
    """those that a person has closed"""

    def add(self, violation: Violation, branch: int) -> Findings:
        """Return the findings with a violation of a branch."""
        known = violation.law == EXPECTED or violation.law in self.broken
        broken = self.broken if known else {**self.broken, violation.law: violation}
        key = (branch, violation.step)
        found = self.found.get(key, ())
        if violation.law not in [one.law for one in found]:
            found += (violation,)
        return replace(self, broken=broken, found={**self.found, key: found})

    def at(self, branch: int, step: int) -> tuple[Violation, ...]:
        """Return what was found at a step of a branch and not dismissed, expected clamps last."""
        key = (branch, step)
        found = () if key in self.dismissed else self.found.get(key, ())
        return tuple(sorted(found, key=lambda one: one.law == EXPECTED))

    def dismiss_all(self) -> Findings:
        """Return the findings without what was found until now."""
        return replace(self, dismissed=self.dismissed | self.found.keys())

    def dismiss(self, branch: int, step: int) -> Findings:
        """Return the findings without those of a step."""
        return replace(self, dismissed=self.dismissed | {(branch, step)})


Suspects = Callable[[Frame, Mapping[str, float]], NDArray[np.bool_]]


def _over_bound(frame: Frame, numbers: Mapping[str, float]) -> NDArray[np.bool_]:
    return _was_revealed(frame) & (frame.remask > numbers["sigma_max"])


def _clamped(frame: Frame, _: Mapping[str, float]) -> NDArray[np.bool_]:
    return np.where(_was_revealed(frame), frame.remask >= 1, ~_was_locked(frame) & (frame.unmask >= 1))


def _was_revealed(frame: Frame) -> NDArray[np.bool_]:
    return np.isin(frame.change, (Change.HELD, Change.REMASKED, Change.EDITED))


def _was_locked(frame: Frame) -> NDArray[np.bool_]:
    return frame.change == Change.LOCKED


SUSPECTS: dict[str, Suspects] = {
    "sigma": _over_bound,
    "range": _clamped,
    "remasks": lambda frame, _: frame.change == Change.REMASKED,
    "reveals": lambda frame, _: frame.change == Change.REVEALED,
    "edits": lambda frame, _: frame.change == Change.EDITED,
    "limit": lambda frame, _: (frame.change == Change.REMASKED) | (_was_revealed(frame) & (frame.remask > 0)),
}
"""Where a step broke a law, bool [B, L]; laws about the whole step are missing."""


def suspect(violation: Violation, frame: Frame, sample: int) -> tuple[int, int] | None:
    """Return sample and position of the first token that broke a law, in `sample` if one did there; None if none."""
    find = SUSPECTS.get(violation.law)
    where = np.argwhere(find(frame, dict(violation.numbers))) if find is not None else np.zeros((0, 2), int)
    if not len(where):
        return None
    here = where[where[:, 0] == sample]
    first = here[0] if len(here) else where[0]
    return int(first[0]), int(first[1])


def describe_law(violation: Violation, ascii_only: bool) -> str:
    """Return the line for a broken law, or for an expected clamp: formula and finding."""
    message = sanitize(violation.message, cells=True, ascii_only=ascii_only)
    return f"{violation.law} at step {violation.step}: {violation.formula} - {message}"
