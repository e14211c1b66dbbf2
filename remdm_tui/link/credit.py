"""How many steps the engine has leave to take: granted by halves, renewed by themselves, void after a stop."""

from __future__ import annotations

from dataclasses import dataclass

from engine.messages import Credit


@dataclass
class CreditWindow:
    """Every method gives the messages to be sent; who calls it holds a lock."""

    outstanding: int = 0
    """steps that the engine may still take, as far as is known"""
    _renew: int = 0
    """how many are to be outstanding, whatever comes; 0: none are renewed"""
    _stop: int = 0
    """number of the engine's last stop"""
    _held: bool = False
    """whether the application has yet to hear of it"""

    def void(self) -> None:
        """The engine forgets what it had, or has failed."""
        self.outstanding = self._renew = 0

    def stopped(self, stop: int, held: bool) -> None:
        """The engine stands still and heeds no credit from before; if it is held, none is given until `heard`."""
        self.void()
        self._stop, self._held = stop, held

    def heard(self) -> None:
        """The application knows of the stop."""
        self._held = False

    def demand(self, steps: int, renew: bool) -> list[Credit]:
        """Let so many steps be outstanding, renewed as frames come if so asked.

        What was granted to be renewed is revoked by the first demand that does not ask for that, so that a pause
        takes hold at the step being computed.
        """
        if self._held:
            return []
        revoked = self.outstanding if self._renew and not renew else 0
        self._renew = steps if renew else 0
        missing = self._missing(steps) if renew else max(0, steps - self.outstanding + revoked)
        self.outstanding += missing - revoked
        back = [Credit(-revoked)] if revoked else []
        return [*back, Credit(missing, self._stop)] if missing > 0 else back

    def stepped(self) -> list[Credit]:
        """A step has come."""
        # one that was under way when its credit was revoked is not owed
        self.outstanding = max(self.outstanding - 1, 0)
        missing = self._missing(self._renew)
        self.outstanding += missing
        return [Credit(missing, self._stop)] if missing > 0 else []

    def _missing(self, steps: int) -> int:
        """Steps to grant so that `steps` are outstanding; by halves, because every message wakes the engine up."""
        missing = steps - self.outstanding
        return missing if 2 * missing >= steps else 0
