"""The findings of the engine as the screen shows them: broken laws and a failed strategy."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.debug.findings import Violation
from engine.debug.laws import EXPECTED
from engine.debug.messages import StrategyFailed
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


@dataclass
class Findings:
    """The findings of one run."""

    broken: dict[str, Violation] = field(default_factory=dict)
    """the first violation of each law, by its name"""
    failure: Failure | None = None
    _found: dict[tuple[int, int], list[Violation]] = field(default_factory=dict)
    """all violations by (branch, step)"""
    _dismissed: set[tuple[int, int]] = field(default_factory=set)
    """those that a person has closed"""

    def clear(self) -> None:
        """Clear the findings for a new run."""
        self.broken.clear()
        self._found.clear()
        self._dismissed.clear()
        self.failure = None

    def add(self, violation: Violation, branch: int) -> None:
        """Keep a violation of a branch."""
        if violation.law != EXPECTED:
            self.broken.setdefault(violation.law, violation)
        found = self._found.setdefault((branch, violation.step), [])
        if violation.law not in [one.law for one in found]:
            found.append(violation)

    def at(self, branch: int, step: int) -> tuple[Violation, ...]:
        """Return what was found at a step of a branch and not dismissed, expected clamps last."""
        key = (branch, step)
        found = () if key in self._dismissed else self._found.get(key, ())
        return tuple(sorted(found, key=lambda one: one.law == EXPECTED))

    def dismiss_all(self) -> None:
        """Show nothing of what was found until now any more."""
        self._dismissed |= self._found.keys()

    def dismiss(self, branch: int, step: int) -> None:
        """Show nothing of a step any more."""
        self._dismissed.add((branch, step))


def describe_law(violation: Violation, ascii_only: bool) -> str:
    """Return the line for a broken law, or for an expected clamp: formula and finding."""
    message = sanitize(violation.message, cells=True, ascii_only=ascii_only)
    return f"{violation.law} at step {violation.step}: {violation.formula} - {message}"
