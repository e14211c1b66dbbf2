"""How many steps the engine may take: one window of credit, held at both ends of the wire.  Pure.

The terminal demands steps and sends `Credit`.  The engine adds what arrives and spends it.  Stops are numbered, so that
the engine can ignore credit that was sent before the terminal knew of the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.messages import Credit


@dataclass(frozen=True)
class CreditWindow:
    """The methods of the terminal's end also return the messages to send."""

    steps: int = 0
    """steps that the engine may still take, as far as this end knows"""
    stop: int = 0
    """number of the last stop"""
    renew: int = 0
    """at the terminal's end: how many steps to keep outstanding; 0: credit is not renewed"""
    unacknowledged: bool = False
    """at the terminal's end: whether the application has yet to learn of the last stop"""

    # -- both ends

    def granted(self, message: Credit) -> CreditWindow:
        """Add steps, or take back as many as are left if negative; ignore credit from before the last stop."""
        if message.steps > 0 and message.stop < self.stop:
            return self
        return replace(self, steps=max(0, self.steps + message.steps))

    def spent(self) -> CreditWindow:
        """Take off one step: it was taken, or its branch has ended."""
        # one that was under way when its credit was revoked is not owed
        return replace(self, steps=max(0, self.steps - 1))

    def void(self) -> CreditWindow:
        """Drop all credit: the run or the branch is another, or something has failed."""
        return replace(self, steps=0, renew=0)

    def stopped(self, stop: int | None = None, *, unacknowledged: bool = False) -> CreditWindow:
        """Drop all credit at stop number `stop` (None: the next), and grant none while it is unacknowledged."""
        return CreditWindow(stop=self.stop + 1 if stop is None else stop, unacknowledged=unacknowledged)

    # -- the terminal's end

    def acknowledge(self) -> CreditWindow:
        """Allow credit again: the application knows of the stop."""
        return replace(self, unacknowledged=False)

    def demand(self, steps: int, renew: bool) -> tuple[CreditWindow, list[Credit]]:
        """Let `steps` steps be outstanding, renewed as frames come if `renew`.

        The first demand without renewal revokes a renewed one, so that a pause takes hold at the step being computed.
        """
        if self.unacknowledged:
            return self, []
        revoked = self.steps if self.renew and not renew else 0
        missing = self._missing(steps) if renew else max(0, steps - self.steps + revoked)
        messages = [Credit(-revoked)] if revoked else []
        return replace(self, renew=steps if renew else 0)._grant(messages, missing)

    def stepped(self) -> tuple[CreditWindow, list[Credit]]:
        """Take off the step that has come, and renew credit if that was demanded."""
        window = self.spent()
        return window._grant([], window._missing(self.renew))

    def _grant(self, messages: list[Credit], missing: int) -> tuple[CreditWindow, list[Credit]]:
        window, messages = self, [*messages, *([Credit(missing, self.stop)] if missing > 0 else [])]
        for message in messages:
            window = window.granted(message)
        return window, messages

    def _missing(self, steps: int) -> int:
        """Return how many to grant so that `steps` are outstanding: halves, because every message wakes the engine."""
        missing = steps - self.steps
        return missing if 2 * missing >= steps else 0
