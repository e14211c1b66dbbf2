"""The engine's side of credit: how many steps it may still take.  Pure; the terminal's side is `CreditWindow`."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class EngineCredit:
    """`stop` numbers the last stop: credit that was sent before the terminal knew of it is ignored."""

    steps: int = 0
    stop: int = 0

    def granted(self, steps: int, stop: int) -> EngineCredit:
        """Add steps, or take back as many as are left if negative."""
        if steps > 0 and stop < self.stop:
            return self
        return replace(self, steps=max(0, self.steps + steps))

    def spent(self) -> EngineCredit:
        """A step was taken, or the branch that it was for has ended."""
        return replace(self, steps=max(0, self.steps - 1))

    def void(self) -> EngineCredit:
        """The run or the branch is another, or something has failed."""
        return replace(self, steps=0)

    def stopped(self) -> EngineCredit:
        """The run stops: what was granted is void, and so is what is on its way."""
        return EngineCredit(0, self.stop + 1)
