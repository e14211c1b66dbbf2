"""What the network would put at the masked positions of the step on screen, requested once a step.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from engine.debug.findings import Drafts
from engine.sampling.trace import Record

Place = tuple[Record, int, int, int]
"""A record, its branch, a sample and a step."""


@dataclass(frozen=True)
class DraftRequests:
    """The drafts of one step, and who wants them: nobody at first, since each step costs a network call."""

    overlay: bool = False
    """whether the drafts are shown"""
    entropy: bool = False
    """whether the colour shows the entropy of the predictions"""
    pending: bool = False
    """whether drafts are on their way"""
    requested: Place | None = None
    """what was asked for last"""
    found: Drafts | None = None
    """the answer; None: it has not come"""

    @property
    def wanted(self) -> bool:
        return self.overlay or self.entropy

    def due(self, place: Place) -> bool:
        """Return whether the drafts of a step have to be requested now; a request waits for the one before."""
        return self.wanted and not self.pending and place != self.requested

    def request(self, place: Place) -> Self:
        """Expect the drafts of a step."""
        return replace(self, requested=place, found=None, pending=True)

    def answer(self, drafts: Drafts, branch: int) -> Self:
        """Take the engine's answer; one to an earlier request is dropped."""
        expected = self.requested is not None and self.requested[1:] == (branch, drafts.sample, drafts.step)
        return replace(self, pending=False, found=drafts if expected else self.found)

    def forget(self) -> Self:
        """Expect no answer, and ask again."""
        return replace(self, pending=False, requested=None, found=None)

    def end(self) -> Self:
        """Want no drafts any more: the engine has refused them."""
        return type(self)()

    def at(self, place: Place) -> Drafts | None:
        """Return the drafts of a step; None if nobody wants them or they have not come."""
        return self.found if self.wanted and place == self.requested else None
