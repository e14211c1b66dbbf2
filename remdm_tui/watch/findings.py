"""The findings of the engine as the screen shows them: broken laws and a failed strategy."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.debug.findings import Violation
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

    def clear(self) -> None:
        """Clear the findings for a new run."""
        self.broken.clear()
        self.failure = None

    def laws(self, ascii_only: bool) -> str:
        """Return a line for each broken law: formula and finding."""
        mark = "x" if ascii_only else "✗"
        found = ((law, one, sanitize(one.said, cells=True, ascii_only=ascii_only)) for law, one in self.broken.items())
        return "\n".join(f"{mark} {law} at step {one.step}: {one.formula} - {said}" for law, one, said in found)
